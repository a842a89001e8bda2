"""Best of K samples from the command line down, against a loop that draws and scores each sample by itself."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from skimage.metrics import structural_similarity
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.synthetic.shape_motion import ShapeMotion
from experiments.cli import main
from lightning_modules import evaluation
from lightning_modules.baselines.noise import Noise
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import run_protocol
from metrics.base import to_uint8
from metrics.pixel import L1
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from tests.helpers.runs import TOY

CLIPS, SAMPLES, FRAMES, CONTEXT, SIZE, SEED = 5, 4, 5, 2, 16, 7


def evaluated(folder: Path, *more: str) -> dict[str, Any]:
    """The one entry of results.json."""
    data = ["--config", "data/shape_motion", "--data.init_args.size", str(SIZE), "--data.init_args.context", "2"]
    off = ["--wandb.enabled", "false", "--trainer.accelerator", "cpu", "--trainer.max_steps", "1"]
    protocol = {"n_real": CLIPS, "n_fake": CLIPS, "samples": SAMPLES, "frames": FRAMES, "seed": SEED}
    keys = [f"--evaluate.protocol.{key}={value}" for key, value in protocol.items()]
    argv = ["--config", "method/noise", *data, *off, "--config", "protocol/svg_best_of_100", *keys]
    method = [f"--data.init_args.frames={FRAMES}", "--runs", str(folder)]
    assert main(["test", *argv, *method, *more]) == 0
    (path,) = folder.glob("*/results.json")
    results: dict[str, Any] = json.loads(path.read_text())["results"]
    (entry,) = results.values()
    return entry


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    raised, logging.raiseExceptions = logging.raiseExceptions, False  # Lightning's handler holds another test's stderr
    try:
        return evaluated(tmp_path_factory.mktemp("runs"))
    finally:
        logging.raiseExceptions = raised


@pytest.fixture(scope="module")
def by_hand() -> np.ndarray:
    """SSIM with SVG's settings, clips x samples x predicted frames."""
    data = ShapeMotion(size=SIZE, frames=FRAMES, context=CONTEXT)
    method = Noise(size=SIZE, frames=FRAMES)
    values = np.empty((CLIPS, SAMPLES, FRAMES - CONTEXT))
    for clip in range(CLIPS):
        real = data.eval_batch("test", [clip], FRAMES, 1, SEED)["video"]
        for k in range(SAMPLES):
            fake = to_uint8(method.sample({}, ClipNoise(SEED, torch.tensor([clip]), k)))
            for t in range(CONTEXT, FRAMES):
                x, y = (c[0, :, t].permute(1, 2, 0).double().numpy() / 255 for c in (real, fake))
                values[clip, k, t - CONTEXT] = structural_similarity(x, y, channel_axis=-1, data_range=2.0)
    return values


def test_best_mean_and_worst_equal_a_loop(entry: dict[str, Any], by_hand: np.ndarray) -> None:
    values = entry["values"]
    columns = [f"{m}_{over}" for m in ("ssim", "psnr") for over in ("best", "mean", "worst")]
    assert list(values) == [*columns, "sample_diversity"]
    # Two levels drawn uniformly from 0..255 differ by (256^2 - 1) / 6 in the square.
    assert values["sample_diversity"]["value"] == pytest.approx(((256**2 - 1) / 6) ** 0.5, rel=0.01)
    of_samples = by_hand.mean(axis=2)
    expected = {"best": of_samples.max(1), "mean": of_samples.mean(1), "worst": of_samples.min(1)}
    for over, of_clips in expected.items():
        found = values[f"ssim_{over}"]
        assert found["value"] == pytest.approx(of_clips.mean(), rel=1e-5)
        assert found["standard_error"] == pytest.approx(of_clips.std(ddof=1) / CLIPS**0.5, rel=1e-3)
        assert found["higher_is_better"] is True and found["n_fake"] == CLIPS
    for metric in ("ssim", "psnr"):
        best, mean, worst = (values[f"{metric}_{over}"]["value"] for over in ("best", "mean", "worst"))
        assert best > mean > worst
    assert entry["protocol"]["samples"] == SAMPLES


def test_curves_are_recorded(entry: dict[str, Any], by_hand: np.ndarray) -> None:
    curve = entry["values"]["ssim_best"]["curve"]
    chosen = by_hand[np.arange(CLIPS), by_hand.mean(axis=2).argmax(axis=1)]
    assert curve["frame"] == [2, 3, 4] and curve["count"] == CLIPS
    assert curve["mean"] == pytest.approx(chosen.mean(axis=0).tolist(), rel=1e-5)
    assert curve["standard_error"] == pytest.approx((chosen.std(axis=0, ddof=1) / CLIPS**0.5).tolist(), rel=1e-3)


def test_batch_size_moves_no_number(
    entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    assert evaluated(tmp_path, "--evaluate.batch_size=2")["values"] == entry["values"]
    assert "test/ssim_best/svg_best_of_100-" in capsys.readouterr().out


def test_samples_of_a_clip_differ_and_the_first_is_what_one_would_be() -> None:
    index = torch.tensor([4, 9])
    drawn = [ClipNoise(3, index, k).normal(64) for k in range(3)]
    assert torch.equal(drawn[0], ClipNoise(3, index).normal(64))
    flat = torch.cat(drawn)
    assert len(flat.unique(dim=0)) == 6
    assert torch.equal(drawn[2][1], ClipNoise(3, index[1:], 2).normal(64)[0])


def test_the_best_checkpoint_can_go_by_the_best_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (tmp_path / "metrics.yaml").write_text(
        yaml.safe_dump({"evaluate": {"metrics": {"l1": {"class_path": "metrics.pixel.L1"}}}})
    )
    argv = ["fit", "--config", TOY, "--config", str(tmp_path / "metrics.yaml"), "--runs", str(tmp_path / "runs")]
    argv += [
        "--evaluate.every=2",
        "--evaluate.protocol.samples=3",
        "--trainer.max_steps=6",
        "--checkpoint.best=l1_best",
    ]
    assert main([*argv, "--trainer.enable_progress_bar=false"]) == 0
    (log,) = tmp_path.glob("runs/*/metrics.csv")
    rows = [line.split(",") for line in log.read_text().splitlines() if "/l1_" in line]
    assert len(rows) == 9
    lowest = min(float(value) for _, name, value in rows if "/l1_best/" in name)
    (best,) = tmp_path.glob("runs/*/checkpoints/best.ckpt")
    state = torch.load(best, weights_only=True)
    assert state["callbacks"]["Checkpoint"]["best_value"] == lowest


def test_a_signal_is_heeded_between_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "AT_ONCE", 32)  # clips: one sample of a batch
    asked: list[int] = []

    def interrupted() -> bool:
        asked.append(len(asked))
        return len(asked) == 3

    data = ShapeMotion(size=SIZE, frames=FRAMES, context=CONTEXT)
    protocol = ProtocolSettings(split="test", n_real=2, n_fake=2, samples=SAMPLES, frames=FRAMES).resolve(data)
    method, suite = Noise(size=SIZE, frames=FRAMES), MetricSuite({"l1": L1()})
    assert run_protocol(method, data, protocol, suite, interrupted=interrupted) is None
    assert len(asked) == 3
    done = run_protocol(method, data, protocol, suite)
    assert done is not None and list(done) == ["l1_best", "l1_mean", "l1_worst"]
    monkeypatch.setattr(evaluation, "AT_ONCE", 96)  # three samples, then the fourth
    together: list[int] = []
    monkeypatch.setattr(method, "sample_many", counted(method, together))
    assert run_protocol(method, data, protocol, suite) == done
    assert together == [3, 1]


def counted(method: Method, calls: list[int]) -> Callable[..., Tensor]:
    """`sample_many` that notes how many samples are asked for at once."""
    plain = method.sample_many

    def sample_many(batch: VideoBatch, noises: list[ClipNoise]) -> Tensor:
        calls.append(len(noises))
        return plain(batch, noises)

    return sample_many
