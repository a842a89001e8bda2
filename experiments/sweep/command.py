"""`reelbench sweep`: a list of runs from one file, here and resumable."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import BenchError
from experiments.leaderboard import default_runs
from experiments.sweep.file import read_sweep
from experiments.sweep.plan import PlannedRun, plan, shown
from experiments.sweep.state import KINDS, State, state_of, untested
from experiments.wording import plural, printable


def main(argv: list[str]) -> int:
    """`reelbench sweep FILE --local N`; returns the exit code: 1 where a run failed, 75 where it was stopped.

    Raises:
        BenchError: a file that is no sweep, a cell that the parser refuses, two cells that are one run.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench sweep",
        description="Trains and scores the runs that a file lists. A run is known by its identity: what is done is "
        "skipped, what was broken off is resumed, so the same command again does what is missing.",
    )
    parser.add_argument("file", metavar="FILE", help="a sweep's file, or the name of a packaged one")
    add_sweep_arguments(parser)
    parser.add_argument("--status", action="store_true", help="print where each run stands, run nothing")
    args = parser.parse_args(argv)
    check_sweep_arguments(args, extra=args.status)
    sweep = read_sweep(args.file)
    runs = plan(sweep.cells(), sweep.varied, sweep.protocols, args.runs, sweep.name)
    if args.status:
        print(status_table(runs))
        return 0
    return execute(runs, args)


def add_sweep_arguments(parser: argparse.ArgumentParser) -> None:
    """How and where runs are run; `reelbench table NAME --run` takes the same."""
    parser.add_argument("--local", type=int, metavar="N", help="run on this machine, N runs at a time")
    parser.add_argument("--threads", type=int, metavar="T", help="of each run (default: the cores divided by N)")
    parser.add_argument("--nice", type=int, default=0, metavar="K", help="niceness of the runs, 0 to 19 (default: 0)")
    parser.add_argument(
        "--retry", action="store_true", help="run the failed again, and score anew where a number is missing"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--runs", type=Path, default=default_runs(), help="folder of runs (default: REELBENCH_RUNS)")


def check_sweep_arguments(args: argparse.Namespace, extra: bool = False) -> None:
    """Refuses counts that make no sense, and a call that says not what to do.

    Args:
        extra: the caller has another thing to do.

    Raises:
        BenchError: what was found and what was expected.
    """
    for name, least, most in (("local", 1, 1024), ("threads", 1, 1024), ("nice", 0, 19)):
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise BenchError(f"--{name} must lie between {least} and {most}, found {value}")
    if args.local is None and not args.dry_run and not extra:
        raise BenchError(
            "say where to run: --local N for N runs at a time on this machine, or --dry-run to see the commands"
        )


def execute(runs: Sequence[PlannedRun], args: argparse.Namespace) -> int:
    """Runs them, or prints what would be run."""
    if args.dry_run:
        print(dry_run(runs))
        return 0
    from experiments.sweep.local import exit_code, run_local
    from experiments.sweep.show import Display

    outcomes = run_local(runs, args.local, Display(), threads=args.threads, niceness=args.nice, retry=args.retry)
    return exit_code(outcomes)


def dry_run(runs: Sequence[PlannedRun]) -> str:
    """A script of the commands that are left to do; comments say of which run, and what is done."""
    lines, states = [], Counter[str]()
    for run in runs:
        state = state_of(run)
        states[state.kind] += 1
        lines.append(f"# {run.folder} ({printable(run.label)}): {told(state)}")
        if state.kind != "done":
            lines += [] if state.trained else [shown(run.fit())]
            lines += [shown(run.test(test)) for test in untested(run)]
    done = states["done"]
    lines.append(f"# {plural(len(runs), 'run')}: {done} done, {len(runs) - done} to do")
    return "\n".join(lines)


def told(state: State) -> str:
    """A state in one line."""
    at = "" if state.step is None else f" at step {state.step} of {state.max_steps}"
    return f"{state.kind}{at}{f': {printable(state.detail)}' if state.detail else ''}"


def status_table(runs: Sequence[PlannedRun]) -> str:
    """One line a run, and the counts."""
    states = [state_of(run) for run in runs]
    rows = [
        (state.kind, "" if state.step is None else f"{state.step}/{state.max_steps}", run.folder.name, run.label)
        for run, state in zip(runs, states, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, state in zip(rows, states, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([*cells, printable(state.detail)]).rstrip())
    counts = Counter(state.kind for state in states)
    told_counts = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
    return "\n".join([*lines, f"{plural(len(runs), 'run')}: {told_counts}"])
