"""`reelbench table`: a paper's table, its numbers beside those that runs of this bench reproduce."""

import argparse
import sys
from pathlib import Path

from datamodules.errors import BenchError
from experiments.sweep.command import add_sweep_arguments, check_sweep_arguments, execute
from experiments.table.file import names, read_table
from experiments.table.lines import as_csv, as_json
from experiments.table.markdown import as_markdown
from experiments.table.reproduced import missing_runs, reproduce
from experiments.table.schema import SCALES
from experiments.wording import plural

FORMATS = {"md": as_markdown, "csv": as_csv, "json": as_json}


def main(argv: list[str]) -> int:
    """`reelbench table [NAME] [--run --local N]`; returns the exit code.

    Raises:
        BenchError: a file that is no table, a config that the parser refuses, numbers that do not compare.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench table",
        description="Published numbers beside reproduced ones; what was not run is missing, with the command that runs "
        "it. Without a name the tables are listed.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a packaged table, or a file")
    parser.add_argument("--scale", choices=SCALES, help="only runs of this scale (default: both; with --run: cpu)")
    parser.add_argument("--format", choices=list(FORMATS), default="md", help="md rounds, csv and json are exact")
    parser.add_argument("--run", action="store_true", help="run what is missing, as a sweep would")
    add_sweep_arguments(parser)
    args = parser.parse_args(argv)
    check_sweep_arguments(args, extra=not args.run)
    if not args.run and (args.local is not None or args.dry_run or args.retry):
        raise BenchError("--local, --dry-run and --retry go with --run, which runs what is missing")
    if args.name is None:
        print(listing())
        return 0
    table = read_table(args.name)
    if args.scale and args.scale not in table.scales:
        raise BenchError(f"--scale {args.scale}: no run reproduces {table.name} at this scale{_there(table.scales)}")
    scales = [args.scale] if args.scale else table.scales
    if args.run:  # runs at paper scale take days: they are made where they are asked for
        scales = [args.scale or "cpu"]
    cells = reproduce(table, scales, Path(args.runs))
    if args.run:
        runs = missing_runs(cells)
        for (row, column, scale), cell in cells.items():
            if cell.value is None and cell.note and not cell.missing:
                print(f"# {row}, {column}, {scale} scale cannot be run: {cell.note}")
        if not runs:
            print(f"# {table.name}: nothing is missing that could be run")
            return 0
        return execute(runs, args)
    text = FORMATS[args.format](table, scales, cells)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8"))
    return 0


def _there(scales: list[str]) -> str:
    return f"; there is {' and '.join(scales)}" if scales else "; its numbers are published only"


def listing() -> str:
    """One line a packaged table."""
    lines = []
    for name in names():
        table = read_table(name)
        reproduced = " and ".join(table.scales) or "published only"
        lines.append((name, table.title, f"{plural(len(table.rows), 'row')}; {reproduced}"))
    widths = [max(len(line[i]) for line in lines) for i in range(2)]
    return "\n".join(f"{name:{widths[0]}}  {title:{widths[1]}}  {rest}" for name, title, rest in lines)
