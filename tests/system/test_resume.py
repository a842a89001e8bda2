"""Interrupted and unbroken runs end alike: weights, EMA, optimizers, counters and log, bit by bit."""

import json
import signal
from pathlib import Path

import pytest

from tests.helpers.runs import TOY, checkpoint, rows, run, send_at_row, start, unequal


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("unbroken")
    done = run("fit", "--config", TOY, "--runs", runs)
    assert done.returncode == 0, done.stderr
    assert len(rows(runs)) == 1 + 24 + 3  # header, a loss a step, three evaluations
    return runs


def assert_alike(unbroken: Path, cut: Path) -> None:
    assert [p.name for p in unbroken.iterdir()] == [p.name for p in cut.iterdir() if p.is_dir()]
    assert unequal(checkpoint(unbroken), checkpoint(cut)) == []
    assert any(".callbacks.GeneratorEMA.shadow" in k for k in checkpoint(cut))
    assert sorted(rows(cut)) == sorted(rows(unbroken))
    (status,) = cut.glob("*/status.json")
    assert json.loads(status.read_text())["state"] == "finished"


def test_sigkill_at_random_steps_and_other_worker_count(unbroken: Path, tmp_path: Path) -> None:
    runs, log = tmp_path / "runs", tmp_path / "log"
    for start_number, row in enumerate((7, 18)):
        workers = str(2 * start_number)
        process = start(
            "fit", "--config", TOY, "--runs", runs, "--data.init_args.num_workers", workers, log=log, TOY_DELAY="0.1"
        )
        assert send_at_row(process, runs, row, signal.SIGKILL, seed=row) == -signal.SIGKILL, log.read_text()
    done = run("fit", "--config", TOY, "--runs", runs)
    assert done.returncode == 0, done.stderr
    assert_alike(unbroken, runs)


def test_sigkill_while_a_checkpoint_is_written(unbroken: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    killed = run("fit", "--config", TOY, "--runs", runs, TOY_BOMB="15")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = runs.iterdir()
    assert list((folder / "checkpoints").glob(".next-last.ckpt.*")), "the kill did not hit the writing"
    assert checkpoint(runs)[".global_step"] == 10
    done = run("fit", "--config", TOY, "--runs", runs)
    assert done.returncode == 0, done.stderr
    assert_alike(unbroken, runs)
    assert not list((folder / "checkpoints").glob(".next-last.ckpt.*")), "the torn file was left behind"


def test_signal_saves_and_exits_with_its_own_code(unbroken: Path, tmp_path: Path) -> None:
    runs, log = tmp_path / "runs", tmp_path / "log"
    process = start("fit", "--config", TOY, "--runs", runs, log=log, TOY_DELAY="0.1")
    assert send_at_row(process, runs, 12, signal.SIGUSR1, seed=1) == 75, log.read_text()
    (status,) = runs.glob("*/status.json")
    assert json.loads(status.read_text())["state"] == "preempted"
    step = checkpoint(runs)[".global_step"]
    assert step >= 10 and step % 5, "an ordinary checkpoint, not one that the signal asked for"
    done = run("fit", "--config", TOY, "--runs", runs)
    assert done.returncode == 0, done.stderr
    assert_alike(unbroken, runs)


def test_finished_run_is_skipped_and_says_so(unbroken: Path) -> None:
    before = rows(unbroken)
    again = run("fit", "--config", TOY, "--runs", unbroken, "--evaluate.every", "6")
    assert again.returncode == 0
    assert "finished, skipped" in again.stdout and "evaluate.every: 8 -> 6" in again.stdout
    assert rows(unbroken) == before
