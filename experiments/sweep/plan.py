"""Cells become runs: each checked by the parser of `reelbench fit`, with its identity, folder and commands."""

import contextlib
import io
import itertools
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from experiments.arguments import config_path
from experiments.leaderboard import default_runs
from experiments.record import differences, find_run, identity
from experiments.results import asked_digest
from experiments.sweep.cell import Cell, arguments, config_name, describe


@dataclass(frozen=True)
class PlannedTest:
    """An evaluation of a run.

    Attributes:
        protocol: the config's name.
        asked: digest of what it measures; results.json holds it once that was done.
    """

    protocol: str
    asked: str


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
        label: what sets its cell apart.
        identity: of the trained weights, as `reelbench fit` computes it.
        folder: where the run is, or will be.
        config: resolved.
        argv: for `fit`; `test` takes the same and a protocol.
    """

    label: str
    identity: str
    folder: Path
    config: dict[str, Any]
    argv: tuple[str, ...]
    tests: tuple[PlannedTest, ...] = ()

    @property
    def max_steps(self) -> int:
        """The budget."""
        return int(self.config["trainer"]["max_steps"])

    def fit(self) -> list[str]:
        """The words behind `reelbench` that train it."""
        return ["fit", *self.argv]

    def test(self, test: PlannedTest) -> list[str]:
        """The words behind `reelbench` that score it."""
        return ["test", *self.argv, "--config", test.protocol]


def shown(words: Sequence[str]) -> str:
    """A command to paste."""
    return shlex.join(["reelbench", *words])


class Planner:
    """Plans runs; builds and writes nothing.

    What differs by seed alone is parsed once.

    Args:
        runs: folder of runs.
        tag: for the runs' records, so that boards can be cut down to the sweep or table that made them.
    """

    def __init__(self, runs: Path, tag: str) -> None:
        self.runs, self.tag = runs, tag
        self._resolved: dict[str, list[dict[str, Any]]] = {}

    def run(self, cell: Cell, protocols: Iterable[str], label: str) -> PlannedRun:
        """Resolves one cell.

        Args:
            protocols: configs to score it under.
            label: names the cell in messages.

        Raises:
            BenchError: what the parser has to say, behind the cell's name.
        """
        seed = cell.get("seed")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise BenchError(f"{label}: seed must be a whole number from 0, found {seed!r}")
        names = [config_name("protocol", protocol) for protocol in protocols]
        argv = self._arguments(cell)
        seedless = self._arguments({key: value for key, value in cell.items() if key != "seed"})
        with _named(label):
            key = repr((argv if _uses_seed(argv) else seedless, names))
        if key not in self._resolved:
            calls = [("test", [*argv, "--config", name]) for name in names] or [("fit", argv)]
            self._resolved[key] = [_resolve(command, words, label) for command, words in calls]
        dumps = self._resolved[key]
        config = dumps[0] if seed is None else {**dumps[0], "seed_everything": seed}
        digest = identity(config)
        folder = find_run(self.runs, config["name"], digest)
        asked = [asked_digest(dump["evaluate"]) for dump in dumps]
        tests = tuple(PlannedTest(name, a) for name, a in zip(names, asked, strict=False))
        return PlannedRun(label, digest, folder, config, tuple(argv), tests)

    def _arguments(self, cell: Cell) -> list[str]:
        where = [] if self.runs == default_runs() else [f"--runs={self.runs}"]
        return [*arguments(cell), *where, f"--wandb.tags+={self.tag}"]


def _uses_seed(argv: Sequence[str]) -> bool:
    """Whether something but the seed itself is made of the seed, by interpolation."""
    files = [config_path(name) for flag, name in itertools.pairwise(argv) if flag == "--config"]
    texts = [*argv, *(path.read_text(encoding="utf-8") for path in files)]
    return any("${seed_everything" in text for text in texts)


def _resolve(command: str, argv: list[str], label: str) -> dict[str, Any]:
    from experiments.run import SKIP, ConfigOnly, build  # imports torch and Lightning

    class OneCommand(ConfigOnly):
        """The other commands' parsers take longer to make than this one takes to parse."""

        @staticmethod
        def subcommands() -> dict[str, set[str]]:
            return {command: SKIP | {"verbose"}}

    said = io.StringIO()
    with _named(label):
        try:
            with contextlib.redirect_stderr(said):  # the parser prints its message and ends the process
                return build(command, argv, OneCommand).config_dump
        except SystemExit as stop:
            raise BenchError(said.getvalue().strip().removeprefix("reelbench: ")) from stop


@contextlib.contextmanager
def _named(label: str) -> Iterator[None]:
    """Puts the cell's name before a message."""
    try:
        yield
    except BenchError as error:
        raise BenchError(f"{label}: {error}") from error


def plan(cells: Sequence[Cell], varied: list[str], protocols: Sequence[str], runs: Path, tag: str) -> list[PlannedRun]:
    """The runs of all cells.

    Raises:
        BenchError: a cell that the parser refuses, or two cells that are one run.
    """
    planned, planner = dict[str, PlannedRun](), Planner(runs, tag)
    for cell in cells:
        run = planner.run(cell, protocols, describe(cell, varied))
        twin = planned.setdefault(run.identity, run)
        if twin is not run:
            changed = differences(twin.config, run.config)
            what = f"what differs has no bearing on the weights: {'; '.join(changed)}" if changed else "nothing differs"
            raise BenchError(
                f"cells '{twin.label}' and '{run.label}' are one run, {run.folder.name} ({what}); "
                "remove one, or exclude it"
            )
    return list(planned.values())
