"""A stochastic predictor from training to the page: several samples of each clip, bands, strips, surprise."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from datamodules.synthetic.moving_digits import MovingDigits
from experiments.cli import main
from lightning_modules.contract import ClipNoise
from metrics.base import to_uint8
from metrics.pixel import SSIM
from metrics.ssim import ssim
from tests.experiments.test_report import Page
from tests.helpers.predictors import TinyPredictor

SIZE, FRAMES, CONTEXT, CLIPS, SAMPLES = 16, 8, 3, 6, 4
RECIPE = {
    "name": "tiny",
    "scale": "cpu",
    "model": {"class_path": "tests.helpers.predictors.TinyPredictor", "init_args": {"size": SIZE, "frames": FRAMES}},
    "data": {
        "class_path": "datamodules.synthetic.moving_digits.MovingDigits",
        "init_args": {
            **{"size": SIZE, "frames": FRAMES, "context": CONTEXT, "batch_size": 8},
            **dict.fromkeys(("train_videos", "val_videos", "test_videos"), 24),
        },
    },
    "trainer": {"accelerator": "cpu", "devices": 1, "max_steps": 5, "enable_model_summary": False},
    "wandb": {"enabled": False},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a few steps, then scored with several samples of each clip."""
    root = tmp_path_factory.mktemp("prediction")
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    raised, logging.raiseExceptions = logging.raiseExceptions, False  # Lightning's handler holds another test's stderr
    try:
        assert main(["fit", "--config", str(root / "recipe.yaml"), "--runs", str(root / "runs")]) == 0
        (folder,) = (root / "runs").iterdir()
        protocol = {"n_real": CLIPS, "n_fake": CLIPS, "samples": SAMPLES}
        argv = ["validate", str(folder), "--config", "protocol/prediction_best_of_10"]
        assert main([*argv, *(f"--evaluate.protocol.{key}={value}" for key, value in protocol.items())]) == 0
        return folder
    finally:
        logging.raiseExceptions = raised


@pytest.fixture(scope="module")
def entry(run: Path) -> dict[str, Any]:
    (found,) = json.loads((run / "results.json").read_text())["results"].values()
    return dict(found)


@pytest.fixture(scope="module")
def by_hand(run: Path) -> tuple[np.ndarray, list[list[torch.Tensor]], torch.Tensor]:
    """SSIM of clips x samples x predicted frames, clip by clip; the samples; the real clips."""
    method = TinyPredictor(SIZE, FRAMES)
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    method.load_state_dict(state)
    data = MovingDigits(**RECIPE["data"]["init_args"])  # type: ignore[index]
    values = np.empty((CLIPS, SAMPLES, FRAMES - CONTEXT))
    clips: list[list[torch.Tensor]] = []
    reals: list[torch.Tensor] = []
    for clip in range(CLIPS):
        batch = data.eval_batch("val", [clip], FRAMES, 1, 0)
        real, given = batch["video"], {"context": batch["context"] / 127.5 - 1}
        reals.append(real[0])
        clips.append([])
        for k in range(SAMPLES):
            fake = to_uint8(method.sample(given, ClipNoise(0, torch.tensor([clip]), k)))  # type: ignore[arg-type]
            values[clip, k] = ssim(fake[:, :, CONTEXT:], real[:, :, CONTEXT:], SSIM("srvp").settings).mean(dim=1)
            clips[-1].append(fake[0])
    return values, clips, torch.stack(reals)


def test_best_mean_and_worst_with_their_curves(entry: dict[str, Any], by_hand: tuple[np.ndarray, Any, Any]) -> None:
    values, of_clips = by_hand[0], by_hand[0].mean(axis=2)
    rows = np.arange(CLIPS)
    chosen = {
        "best": values[rows, of_clips.argmax(axis=1)],
        "mean": values.mean(axis=1),
        "worst": values[rows, of_clips.argmin(axis=1)],
    }
    for over, curves in chosen.items():
        found = entry["values"][f"ssim_{over}"]
        assert found["value"] == pytest.approx(curves.mean(), rel=1e-4)
        assert found["curve"]["frame"] == list(range(CONTEXT, FRAMES))
        assert found["curve"]["mean"] == pytest.approx(curves.mean(axis=0).tolist(), rel=1e-4)
        errors = curves.std(axis=0, ddof=1) / CLIPS**0.5
        assert found["curve"]["standard_error"] == pytest.approx(errors.tolist(), rel=1e-2)
    assert (chosen["best"].mean(axis=1) > chosen["worst"].mean(axis=1) + 1e-3).all()  # the samples do differ
    assert entry["values"]["sample_diversity"]["value"] > 1
    assert len(entry["values"]["sample_diversity"]["curve"]["mean"]) == FRAMES - CONTEXT


def test_strips_show_the_samples_that_were_chosen(run: Path, by_hand: tuple[np.ndarray, Any, torch.Tensor]) -> None:
    values, clips, reals = by_hand
    (folder,) = (run / "strips").iterdir()
    about = json.loads((folder / "strips.json").read_text())
    assert (about["rows"], about["chosen_by"]) == (["truth", "best", "random", "worst"], "ssim")
    assert (about["clips"], about["samples"]) == ([0, 1, 2, 3], SAMPLES)
    for clip in about["clips"]:
        picture = np.asarray(Image.open(folder / f"{clip:05d}.png"))[..., 0]
        of_samples = values[clip].mean(axis=1)
        rows = [reals[clip], *(clips[clip][k] for k in (of_samples.argmax(), 0, of_samples.argmin()))]
        for row, shown in enumerate(rows):
            for t in range(CONTEXT, FRAMES):
                beside = t * 50 + 6
                frame = picture[row * 50 : row * 50 + 48 : 3, beside : beside + 48 : 3]
                np.testing.assert_array_equal(frame, shown[0, t].numpy())
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_the_page_shows_bands_the_end_of_the_context_and_strips(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run.parent), "-o", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    pictures = [image["src"] or "" for image in page.all("img")]
    assert len(pictures) == 4 and all(uri.startswith("data:image/png;base64,") for uri in pictures)
    assert "of 4 samples, the best, the first drawn and the worst by ssim" in " ".join(page.text)
    charts = json.loads(text.split('id="data">')[1].split("</script>")[0])
    of_frames = {chart["title"]: chart for chart in charts if chart["axis"] == "frame"}
    columns = [f"{m}_{over}" for m in ("psnr", "ssim") for over in ("best", "mean", "worst")]
    assert set(of_frames) == {f"val/{column}" for column in [*columns, "sample_diversity"]}
    for chart in of_frames.values():
        assert chart["mark"] == CONTEXT - 0.5
        (line,) = chart["lines"]
        assert all(low < mean < high for low, mean, high in zip(line["low"], line["y"], line["high"], strict=True))


def test_damaged_strips_are_named(run: Path, tmp_path: Path) -> None:
    from experiments.report.strips import read_predictions

    (folder,) = (run / "strips").iterdir()
    copy = tmp_path / "strips" / folder.name
    copy.mkdir(parents=True)
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    problems: list[str] = []
    (whole,) = read_predictions(tmp_path, 3, problems)
    assert len(whole.pictures) == 3 and not problems and read_predictions(tmp_path, 0, problems) == []
    (copy / "00001.png").write_bytes((folder / "00001.png").read_bytes()[:-20])
    (fewer,) = read_predictions(tmp_path, 3, problems)
    assert [number for number, _ in fewer.pictures] == ["0", "2"]
    assert problems.pop() == f"strips/{folder.name}/00001.png is not a whole PNG" and not problems
    (copy / "strips.json").write_text("{")
    assert read_predictions(tmp_path, 3, problems) == [] and "strips.json cannot be read" in problems[0]


def test_surprise_of_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["surprise", str(run), "--clips", "20", "--frames", "12", "--out", str(tmp_path / "mine")]
    assert main(argv) == 0
    told, found = capsys.readouterr().out, json.loads((tmp_path / "mine.json").read_text())
    assert found["events"] == "bounces" and found["data"] == "moving_digits" and found["found"]["clips"] == 20
    assert f"at: {found['found']['at']['value']:.5g} +- " in told
    assert Image.open(tmp_path / "mine.png").size == (960, 560)
    batch = MovingDigits(**RECIPE["data"]["init_args"]).eval_batch("test", range(20), 12, 1, 0)  # type: ignore[index]
    change = (batch["video"].float().diff(dim=2).abs() / 127.5).mean(dim=(1, 3, 4))
    met = batch["bounces"][:, 2:] > 0
    assert found["found"]["at"]["value"] == pytest.approx(float(change[:, :-1][met].mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--clips", "1"], "--clips must be at least 2, found 1"),
        (["--reach", "-1"], "--reach must be at least 0, found -1"),
        (["--frames", "1"], "--frames must be at least 2, found 1"),
        (["data/shape_motion"], "events bounces: shape_motion gives attributes, video; moving digits give bounces"),
    ],
)
def test_surprise_refuses(run: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--data.init_args.size", "16"] if "data/shape_motion" in more else []
    assert main(["surprise", str(run), *more, *small]) == 2
    assert said in capsys.readouterr().err


def test_no_samples_and_frames_beyond_the_data_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["validate", str(run), "--config", "protocol/prediction_best_of_10"]
    assert main([*argv, "--evaluate.protocol.samples=0"]) == 2
    assert "protocol.samples must be from 1 to 4096, found 0" in capsys.readouterr().err
    assert main([*argv, "--evaluate.protocol.frames=9", "--evaluate.protocol.samples=2"]) == 2
    assert "the method generates clips of (1, 8, 16, 16), the protocol scores (1, 9, 16, 16)" in capsys.readouterr().err


def test_frames_beyond_the_videos_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["test", "--config", "method/noise", "--config", "data/shape_motion", "--runs", str(tmp_path)]
    argv += ["--config", "protocol/prediction256", "--evaluate.protocol.frames=99", "--wandb.enabled=false"]
    argv += ["--trainer.accelerator=cpu", "--trainer.max_steps=1", "--data.init_args.context=2"]
    assert main([*argv, "--data.init_args.size=16"]) == 2
    said = capsys.readouterr().err
    assert (
        "shape_motion: clips of 99 frames were asked for, but " in said
        and "ask for fewer (evaluate.protocol.frames" in said
    )
