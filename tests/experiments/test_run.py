"""Commands from the command line down, in this process: what a person sees when a config is wrong or a run is odd."""

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.cli import main
from tests.helpers.runs import TOY

QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.max_steps", "6", "--evaluate.every", "0"]


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # Lightning's handler holds the stderr of another test


def refused(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """The message of a command that must end with 2 and one short message."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:  # argparse ends the process itself
        code = int(stop.code or 0)
    message = capsys.readouterr().err
    assert code == 2, message
    assert "Traceback" not in message and len(message.splitlines()) <= 3, message
    return message


def toy(runs: Path, *argv: str) -> list[str | Path]:
    return ["fit", "--config", TOY, "--runs", runs, *QUIET, *argv]


@pytest.mark.parametrize(
    ("argv", "key", "meant"),
    [
        (["--model.init_args.critic_step", "3"], "critic_step", "critic_steps"),
        (["--data.init_args.batchsize", "3"], "batchsize", "batch_size"),
        (["--evaluate.evry", "3"], "evaluate.evry", "evaluate.every"),
        (["--trainer.max_step", "3"], "trainer.max_step", "trainer.max_steps"),
        (["--checkpoint.evry", "3"], "checkpoint.evry", "checkpoint.every"),
    ],
)
def test_misspelt_key_on_the_command_line(
    argv: list[str], key: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, *toy(tmp_path), *argv)
    assert key in message and f"did you mean '{meant}'?" in message
    assert not list(tmp_path.iterdir()), "something was built before the config was checked"


@pytest.mark.parametrize(
    ("config", "key", "meant"),
    [
        ({"model": {"init_args": {"critic_step": 3}}}, "critic_step", "critic_steps"),
        ({"evaluate": {"protocol": {"n_reel": 3}}}, "n_reel", "n_real"),
        ({"trainr": {"max_steps": 3}}, "trainr", "trainer"),
        (
            {"evaluate": {"metrics": {"acd_color": {"class_path": "metrics.content.AverageContentDistance"}}}}
            | {"samples": {"evry": 2}},
            "samples.evry",
            "samples.every",
        ),
        (
            {
                "evaluate": {
                    "metrics": {
                        "acd_color": {
                            "class_path": "metrics.content.AverageContentDistance",
                            "init_args": {"treshold": 3},
                        }
                    }
                }
            },
            "treshold",
            "threshold",
        ),
    ],
)
def test_misspelt_key_in_a_file(
    config: dict[str, Any], key: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(config))
    message = refused(capsys, *toy(tmp_path / "runs"), "--config", tmp_path / "bad.yaml")
    assert key in message and "did you mean" in message and meant in message


def test_wrong_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, *toy(tmp_path), "--model.init_args.lr", "fast")
    assert "model.init_args.lr" in message and "float" in message and "fast" in message


def test_missing_config_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'method/mocogan_cpu'?" in refused(capsys, "fit", "--config", "method/mocogan_cpuu")


def test_config_that_is_not_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.yaml").write_text("model: [")
    message = refused(capsys, *toy(tmp_path / "runs"), "--config", tmp_path / "torn.yaml")
    assert "torn.yaml" in message and "not valid YAML" in message


def test_method_without_data_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "fit", "--config", "method/mocogan")
    assert "data.init_args.size" in message and "--config data/" in message


def test_need_that_the_data_does_not_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model": {"class_path": "tests.helpers.reelbench_toys.PoseToy", "init_args": {}}}
    (tmp_path / "pose.yaml").write_text(yaml.safe_dump(config))
    message = refused(capsys, *toy(tmp_path / "runs"), "--config", tmp_path / "pose.yaml")
    assert "needs source_pose; reelbench_toys gives attributes, video" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("argv", "key"),
    [
        (["--trainer.accumulate_grad_batches", "2"], "trainer.accumulate_grad_batches"),
        (["--trainer.gradient_clip_val", "1"], "trainer.gradient_clip_val"),
        (["--trainer.precision", "bf16-true"], "trainer.precision"),
        (["--trainer.max_epochs", "3"], "trainer.max_epochs"),
        (["--trainer.max_steps", "-1"], "trainer.max_steps"),
        (["--ema.decay", "1.5"], "ema.decay"),
        (["--checkpoint.every", "0"], "checkpoint.every"),
        (["--evaluate.protocol.n_real", "1"], "n_real"),
        (["--data.init_args.batch_size", "0"], "data.init_args.batch_size"),
        (["--checkpoint.best", "fvd"], "checkpoint.best"),
    ],
)
def test_values_that_break_a_contract(
    argv: list[str], key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert key in refused(capsys, *toy(tmp_path), *argv)


def only(runs: Path) -> Path:
    (folder,) = runs.iterdir()
    return folder


@pytest.fixture
def finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A finished run's folder."""
    assert main([str(a) for a in toy(tmp_path / "runs")]) == 0
    capsys.readouterr()
    return only(tmp_path / "runs")


def test_config_of_another_run_is_refused(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "test", finished, "--data.init_args.size", "16")
    assert "data.init_args.size: 8 -> 16" in message and "run of another config" in message
    assert not (finished / "results.json").exists()


def test_test_writes_results_by_protocol(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(finished)]) == 0
    assert main(["test", str(finished), "--evaluate.protocol.n_fake", "5"]) == 0
    results = json.loads((finished / "results.json").read_text())
    assert len(results["results"]) == 2 and results["seed"] == 0 and not results["reference"]
    for key, entry in results["results"].items():
        value = entry["values"]["acd_color"]
        assert entry["protocol"]["split"] == "test" and entry["step"] == 6 and entry["weights"] == "ema"
        assert value["key"].startswith("test/acd_color/quick-") and key not in value["key"]
        assert value["n_fake"] == entry["protocol"]["n_fake"]
    before = results["results"]
    assert main(["test", str(finished)]) == 0
    after = json.loads((finished / "results.json").read_text())["results"]
    for key in before:
        assert after[key]["values"] == before[key]["values"], "scoring the same weights twice gave other numbers"


def test_full_disk_while_writing_results_loses_nothing(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["test", str(finished)]) == 0
    before = (finished / "results.json").read_bytes()
    sync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    message = refused(capsys, "test", finished, "--evaluate.protocol.n_fake", "5")
    monkeypatch.setattr(os, "fsync", sync)
    assert "results.json" in message
    assert (finished / "results.json").read_bytes() == before
    assert sorted(p.name for p in finished.iterdir() if p.name.startswith(".")) == []


def test_full_disk_while_saving_a_checkpoint_keeps_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = torch.save, []

    def full(state: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        saved.append(1)
        if len(saved) == 2:
            file.write(b"torn")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file, *args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    message = refused(capsys, *toy(tmp_path), "--checkpoint.every", "2")
    assert "No space left" in message and "untouched" in message
    folder = only(tmp_path)
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    assert not list((folder / "checkpoints").glob(".*"))


def test_checkpoint_of_another_method(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    assert main([str(a) for a in toy(other, "--model.init_args.z", "9")]) == 0
    state = torch.load(only(other) / "checkpoints" / "last.ckpt", weights_only=True)
    state["state_dict"] = {f"encoder.{k}": v for k, v in state["state_dict"].items()}
    torch.save(state, finished / "checkpoints" / "last.ckpt")
    capsys.readouterr()
    message = refused(capsys, "test", finished)
    assert "checkpoint of another method" in message and "encoder." in message


def test_torn_checkpoint(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:2000])
    assert "last.ckpt: no readable checkpoint" in refused(capsys, "test", finished)


def test_test_without_a_trained_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "test", "--config", TOY, "--runs", tmp_path)
    assert "last.ckpt does not exist" in message and "reelbench fit" in message


def test_non_finite_loss_stops_and_names_the_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_NAN", "4")  # the fifth step
    message = refused(capsys, *toy(tmp_path), "--checkpoint.every", "1")
    assert "step 5: non-finite loss" in message and "toy" in message.split("Clips of this step")[1]
    folder = only(tmp_path)
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 4, "a checkpoint with NaN weights was published"
    assert all(v.isfinite().all() for v in state["state_dict"].values())
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "failed" and "non-finite" in status["reason"]


def test_best_checkpoint_is_the_one_with_the_best_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = toy(tmp_path, "--checkpoint.best", "acd_color", "--model.init_args.lr", "0.02")
    assert main([*map(str, argv), "--evaluate.every", "2", "--trainer.max_steps", "12"]) == 0
    folder = only(tmp_path)
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines() if "acd_color" in line]
    best = min(rows, key=lambda row: float(row[2]))
    assert len(rows) == 6 and best is not rows[-1], "the last evaluation is the best: the test would prove nothing"
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert state["global_step"] == int(best[0]) + 1
    assert state["callbacks"]["Checkpoint"]["best_value"] == float(best[2])


def test_reference_rows_need_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--config", "data/shape_motion", "--data.init_args.size", "32", "--runs", str(tmp_path)]
    off = ["--wandb.enabled", "false", "--trainer.accelerator", "cpu", "--trainer.max_steps", "1"]
    protocol = ["--config", "protocol/cpu256", "--evaluate.protocol.n_real", "4", "--evaluate.protocol.n_fake", "4"]
    argv = ["--config", "method/noise", *data, *off, *protocol]
    assert main(["fit", *argv]) == 0
    assert main(["test", *argv]) == 0
    results = json.loads((only(tmp_path) / "results.json").read_text())
    (entry,) = results["results"].values()
    assert results["reference"] and entry["weights"] == "none" and entry["step"] == 0
    assert json.loads((only(tmp_path) / "status.json").read_text())["reason"] == "nothing to train"


def test_run_killed_after_its_last_checkpoint_is_found_finished(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = json.loads((finished / "status.json").read_text())
    log = (finished / "metrics.csv").read_bytes()
    (finished / "status.json").write_text(json.dumps(status | {"state": "running"}))
    assert main([str(a) for a in toy(finished.parent)]) == 0
    again = json.loads((finished / "status.json").read_text())
    assert again["state"] == "finished" and again["step"] == again["max_steps"] == 6
    assert (finished / "metrics.csv").read_bytes() == log


def test_run_that_is_held_is_left_alone(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from datamodules.files import Lease

    (finished / "status.json").unlink()
    lease = Lease(finished / "lease.json")
    assert lease.acquire()
    try:
        message = refused(capsys, *toy(finished.parent))
    finally:
        lease.release()
    assert "already running" in message and str(os.getpid()) in message
