"""Runs of the command line in processes of their own, and what they leave behind."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

HELPERS = Path(__file__).parent
ROOT = HELPERS.parent.parent
TOY = str(HELPERS / "toy.yaml")


def environment(**extra: str) -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"} | extra


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "experiments", *map(str, args)]


def run(*args: str | Path, timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), env=environment(**extra), cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


def start(*args: str | Path, log: Path, **extra: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            command(*args), env=environment(**extra), cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )


def rows(runs: Path) -> list[str]:
    found = list(runs.glob("*/metrics.csv"))
    return found[0].read_text().splitlines() if found else []


def send_at_row(process: subprocess.Popen[bytes], runs: Path, row: int, what: signal.Signals, seed: int) -> int:
    """Sends a signal some moment after `row` rows are logged; returns the exit code."""
    deadline = time.monotonic() + 100
    while process.poll() is None and len(rows(runs)) < row and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random(seed).random() * 0.08)  # a random moment of the step
    if process.poll() is None:
        os.killpg(process.pid, what)
    return process.wait(60)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a checkpoint with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}.{i}")
    else:
        yield path, value


def checkpoint(runs: Path) -> dict[str, Any]:
    (path,) = runs.glob("*/checkpoints/last.ckpt")
    return dict(leaves(torch.load(path, weights_only=True)))


def unequal(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Paths of leaves that differ or stand in one only."""

    def same(x: Any, y: Any) -> bool:
        return torch.equal(x, y) if torch.is_tensor(x) and torch.is_tensor(y) else x == y

    return sorted(k for k in a.keys() | b.keys() if k not in a or k not in b or not same(a[k], b[k]))
