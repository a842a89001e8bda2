"""`reelbench COMMAND` = `python -m experiments COMMAND`: a command's module is imported when it is used."""

import errno
import importlib
import os
import select
import sys
from typing import NamedTuple, NoReturn

from datamodules.errors import BenchError
from lightning_modules import preempt

VERSION = "0.1.0"  # setup.cfg reads it here


class Command(NamedTuple):
    """Where a command lives and what it does.

    Attributes:
        module: its `main(argv) -> int` runs the command; with `named`, `main(command, argv) -> int`.
        saves: a run that can be asked to stop and saves its state first; the others just end on SIGTERM.
    """

    module: str
    help: str
    named: bool = False
    saves: bool = False


COMMANDS = {
    "fit": Command("experiments.run", "train a method; the same command again resumes or skips", True, saves=True),
    "validate": Command("experiments.run", "score a trained run on the validation split", True),
    "test": Command("experiments.run", "score a trained run and record the numbers in its results", True),
    "sample": Command("experiments.run", "write clips of a trained run as mp4", True),
    "score": Command("experiments.score.command", "score videos of any generator against real ones"),
    "data": Command("experiments.data", "check videos, build and verify the caches that training reads"),
    "weights": Command("experiments.weights", "list, fetch and verify the published weights that metrics need"),
    "classifier": Command("experiments.classifier", "train the classifier of categories that some metrics ask"),
    "represent": Command("experiments.represent", "teach a VGAN run's discriminator actions, and score it"),
    "surprise": Command("experiments.surprise", "whether a method is unsure just when its data surprise"),
    "export": Command("experiments.export", "turn a run into one small file of generator weights with its config"),
    "sweep": Command("experiments.sweep.command", "train and score a list of runs; again: only what is missing"),
    "table": Command("experiments.table.command", "published numbers beside those that runs reproduce"),
    "convert": Command("experiments.convert", "turn weights that an official code wrote into such a file"),
    "leaderboard": Command("experiments.leaderboard", "rank all runs, one table a protocol"),
    "report": Command("experiments.report.page", "write one HTML page with numbers, curves and clips side by side"),
    "zoo": Command("experiments.zoo.build", "rebuild and check the small checkpoints that come with the bench"),
    "demo": Command("experiments.demo", "train, score, rank and show small methods on this machine, offline"),
}


def usage() -> str:
    """The text of `--help`."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: reelbench COMMAND [arguments]\n\n"
        "Trains, samples, scores and ranks video generators under the same data and the same metrics.\n\n"
        f"{lines}\n\n"
        "reelbench COMMAND --help   the arguments of a command\n"
        "reelbench --version        the version"
    )


def dispatch(argv: list[str]) -> int:
    """Runs the command that `argv` names and returns its exit code."""
    if not argv:
        print(usage(), file=sys.stderr)
        return 2
    name, rest = argv[0], argv[1:]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"reelbench {VERSION}")
        return 0
    if name not in COMMANDS:
        raise BenchError(_unknown(name))
    command = COMMANDS[name]
    handler = importlib.import_module(command.module).main
    return int(handler(name, rest) if command.named else handler(rest))


def _unknown(name: str) -> str:
    if name.startswith("-"):
        return f"the command comes first, found {name}: reelbench COMMAND [arguments]; reelbench --help lists them"
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, 1)
    meant = f", did you mean '{near[0]}'?" if near else f"; there are {', '.join(COMMANDS)}"
    return f"no command '{name}'{meant}"


def main(argv: list[str] | None = None) -> int:
    """Runs one command; what a user can mend becomes one line on stderr.

    Args:
        argv: without the program's name; `sys.argv` by default.

    Returns:
        The exit code: 2 for a mistake that the user can mend, 75 for a run that was asked to stop and has saved,
        130 after Ctrl-C.
    """
    try:
        return dispatch(sys.argv[1:] if argv is None else argv)
    except BenchError as error:
        print(f"reelbench: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"reelbench: {where}the disk is full; free some space and run the same command again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("reelbench: interrupted", file=sys.stderr)
        return 130


def entry() -> NoReturn:
    """The process: signals first, then the command, then its exit code."""
    code = 0
    try:
        _watch_signals(sys.argv[1:2])
        code = main()
        sys.stdout.flush()
    except BenchError as error:
        print(f"reelbench: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        if not _reader_is_gone():
            raise  # some other pipe: a failure, not a `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains once more when it flushes
        code = 128 + 13
    finally:
        preempt.ignore()
    sys.exit(code)


def _watch_signals(name: list[str]) -> None:
    command = COMMANDS.get(name[0]) if name else None
    if command is not None and command.saves:
        preempt.install()
    else:
        preempt.ignore()


def _reader_is_gone() -> bool:
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
