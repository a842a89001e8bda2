"""Cells become runs: each checked by the parser of `reelbench fit`, with its identity, folder and commands."""

import contextlib
import io
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from experiments.leaderboard import default_runs
from experiments.record import differences
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


def plan_run(cell: Cell, protocols: Iterable[str], runs: Path, label: str, tag: str | None = None) -> PlannedRun:
    """Resolves one cell; builds and writes nothing.

    Args:
        protocols: configs to score it under.
        runs: folder of runs.
        label: names the cell in messages.
        tag: for the run's record, so that boards can be cut down to the sweep or table that made it.

    Raises:
        BenchError: what the parser has to say, behind the cell's name.
    """
    argv = arguments(cell)
    if runs != default_runs():
        argv.append(f"--runs={runs}")
    if tag is not None:
        argv.append(f"--wandb.tags+={tag}")
    names = [config_name("protocol", protocol) for protocol in protocols]
    tests, resolved = [], None
    for name in names:
        resolved = _resolve("test", [*argv, "--config", name], label)
        tests.append(PlannedTest(name, asked_digest(resolved.config_dump["evaluate"])))
    resolved = resolved or _resolve("fit", argv, label)
    return PlannedRun(label, resolved.identity, resolved.folder, resolved.config_dump, tuple(argv), tuple(tests))


def _resolve(command: str, argv: list[str], label: str) -> Any:
    from experiments.run import ConfigOnly, build  # imports torch and Lightning

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # the parser prints its message and ends the process
            return build(command, argv, ConfigOnly)
    except SystemExit as stop:
        text = said.getvalue().strip().removeprefix("reelbench: ")
        raise BenchError(f"{label}: {text}") from stop
    except BenchError as error:
        raise BenchError(f"{label}: {error}") from error


def plan(cells: Sequence[Cell], varied: list[str], protocols: Sequence[str], runs: Path, tag: str) -> list[PlannedRun]:
    """The runs of all cells.

    Raises:
        BenchError: a cell that the parser refuses, or two cells that are one run.
    """
    planned: dict[str, PlannedRun] = {}
    for cell in cells:
        run = plan_run(cell, protocols, runs, describe(cell, varied), tag)
        twin = planned.setdefault(run.identity, run)
        if twin is not run:
            changed = differences(twin.config, run.config)
            what = f"what differs has no bearing on the weights: {'; '.join(changed)}" if changed else "nothing differs"
            raise BenchError(
                f"cells '{twin.label}' and '{run.label}' are one run, {run.folder.name} ({what}); "
                "remove one, or exclude it"
            )
    return list(planned.values())
