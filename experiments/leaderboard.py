"""`reelbench leaderboard`: all runs ranked, one table a protocol."""

import argparse
import os
import sys
from pathlib import Path

from experiments.board import build
from experiments.board_data import as_csv, as_json
from experiments.board_markdown import markdown
from experiments.runs import read_runs
from experiments.wording import counted

FORMATS = {"md": markdown, "csv": as_csv, "json": as_json}


def main(argv: list[str]) -> int:
    """Prints the tables; returns the exit code.

    Raises:
        BenchError: no run is there, or an argument names nothing.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench leaderboard",
        description="Rank all finished runs. Numbers measured under different protocols or settings are never mixed.",
    )
    add_run_arguments(parser)
    parser.add_argument("--format", choices=list(FORMATS), default="md", help="md rounds, csv and json are exact")
    parser.add_argument("--sort", metavar="METRIC", help="metric or hash to rank by (default: the first with ↑ or ↓)")
    args = parser.parse_args(argv)
    board = build(read_runs(args.runs or [default_runs()]), args.split, args.tag, args.sort)
    text = FORMATS[args.format](board)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8"))
    if args.format == "csv" and board.absent:
        print(f"reelbench: {counted(board)}; --format md names them", file=sys.stderr)
    return 0


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose runs; the report takes the same."""
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUNS", help="folders of runs (default: REELBENCH_RUNS)")
    parser.add_argument("--split", choices=["val", "test"], help="only numbers of this split")
    parser.add_argument("--tag", action="append", default=[], help="only runs with this tag; may be repeated")


def default_runs() -> Path:
    """REELBENCH_RUNS, or `runs` in the working directory."""
    return Path(os.environ.get("REELBENCH_RUNS") or "runs")
