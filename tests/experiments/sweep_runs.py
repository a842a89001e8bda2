"""Planned runs for tests of sweeps, with commands that end as they are told."""

import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from experiments.sweep import job
from experiments.sweep.job import Outcome
from experiments.sweep.local import run_local
from experiments.sweep.plan import PlannedRun, PlannedTest
from experiments.sweep.show import Display
from tests.helpers.runs import HELPERS


def planned(root: Path, name: str, behaviour: str = "ok", protocols: Sequence[str] = ("p",)) -> PlannedRun:
    """A run of `tests/helpers/sweep_stub.py`, whose tests are asked for by their protocol's name."""
    folder = root / name
    return PlannedRun(
        label=f"case={name}",
        identity=hashlib.sha256(name.encode()).hexdigest(),
        folder=folder,
        config={"trainer": {"max_steps": 10}, "seed_everything": 0},
        argv=(str(folder), behaviour),
        tests=tuple(PlannedTest(protocol, protocol) for protocol in protocols),
    )


def use_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "PROGRAM", (sys.executable, str(HELPERS / "sweep_stub.py")))


def go(
    runs: Sequence[PlannedRun], at_once: int = 2, terminal: bool = False, **how: object
) -> tuple[dict[str, Outcome], str]:
    """Outcomes by name, and what was shown."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=200, highlight=False, soft_wrap=True)
    outcomes: Mapping[str, Outcome] = run_local(runs, at_once, Display(console), **how)  # type: ignore[arg-type]
    return {run.folder.name: outcomes[run.identity] for run in runs}, shown.getvalue()
