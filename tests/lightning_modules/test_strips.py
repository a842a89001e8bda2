"""Strips of predictions: which sample is shown as best and worst, and where its frames stand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.batch import VideoBatch, to_float
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import run_protocol
from lightning_modules.strips import CLIPS, COLUMNS, GAP, Strips, shown_frames, strip, strips_folder
from metrics.content import AverageContentDistance
from metrics.perceptual import Lpips
from metrics.pixel import L1, PSNR
from metrics.protocol import Protocol, ProtocolSettings
from metrics.suite import MetricSuite
from metrics.weights import CATALOGUE, MissingWeights
from tests.metrics.array_data import ArrayData

SIZE, FRAMES, CONTEXT, LEVEL = 48, 6, 2, 100
NAME = next(iter(CATALOGUE))
# How far sample k of clip i is off the truth: clip 0 is best in sample 2, clip 1 in sample 0, clip 2 in sample 1.
OFF = torch.tensor([[20, 30, 10], [10, 20, 30], [30, 10, 20], [1, 2, 3], [1, 2, 3], [1, 2, 3]])  # clips samples


class Shifted(Method):
    """The truth, brighter by what `OFF` says."""

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> torch.Tensor:
        """Knows the sample from how often it was asked."""
        key = tuple(batch["index"].tolist())
        self.asked: dict[Any, int] = getattr(self, "asked", {})
        sample = self.asked[key] = self.asked.get(key, -1) + 1
        fake = batch["video"].clone()
        fake[:, :, CONTEXT:] += 2 / 255 * OFF[batch["index"], sample][:, None, None, None, None]
        return fake


def data(context: int = CONTEXT) -> ArrayData:
    return ArrayData(context=context, val=torch.full((6, 3, FRAMES, SIZE, SIZE), LEVEL, dtype=torch.uint8))


def protocol(context: int = CONTEXT, **changes: Any) -> Protocol:
    settings = {"n_real": 6, "n_fake": 6, "samples": 3, "score_context": False, **changes}
    return ProtocolSettings(**settings).resolve(data(context))


def drawn(folder: Path, suite: MetricSuite, of: Protocol, batch_size: int = 4) -> Strips:
    strips = Strips(suite, of)
    assert run_protocol(Shifted(), data(of.context), of, suite, batch_size=batch_size, strips=strips) is not None
    strips.write(folder)
    return strips


def level(picture: np.ndarray, row: int, column: int) -> int:
    """Of the middle of a frame."""
    beyond = 3 * GAP if column >= CONTEXT else 0
    return int(picture[row * (SIZE + GAP) + SIZE // 2, column * (SIZE + GAP) + SIZE // 2 + beyond, 0])


@pytest.mark.parametrize("metric", [L1(), PSNR(), PSNR(pooling="set")], ids=["lower", "higher", "errors"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_best_random_and_worst(tmp_path: Path, metric: Any, batch_size: int) -> None:
    drawn(tmp_path, MetricSuite({metric.name: metric}), protocol(), batch_size)
    about = json.loads((tmp_path / "strips.json").read_text())
    assert about == {
        "rows": ["truth", "best", "random", "worst"],
        "frames": [0, 1, 2, 3, 4, 5],
        "context": 2,
        "clips": about["clips"],
        "samples": 3,
        "chosen_by": metric.name,
    }
    assert about["clips"] == [0, 1, 2, 3] and len(list(tmp_path.glob("*.png"))) == CLIPS
    for place in range(3):
        picture = np.asarray(Image.open(tmp_path / f"{place:05d}.png"))
        assert picture.shape == (4 * (SIZE + GAP) - GAP, FRAMES * (SIZE + GAP) + 2 * GAP, 3)
        off = OFF[place].tolist()
        expected = [LEVEL, LEVEL + min(off), LEVEL + off[0], LEVEL + max(off)]
        assert [level(picture, row, CONTEXT) for row in range(4)] == expected
        assert [level(picture, row, FRAMES - 1) for row in range(4)] == expected
        assert [level(picture, row, 0) for row in range(4)] == [LEVEL, 255, 255, 255]  # the context once


def test_one_sample_is_neither_best_nor_worst(tmp_path: Path) -> None:
    drawn(tmp_path, MetricSuite({"l1": L1()}), protocol(samples=1))
    about = json.loads((tmp_path / "strips.json").read_text())
    assert (about["rows"], about["chosen_by"]) == (["truth", "sample"], None)
    picture = np.asarray(Image.open(tmp_path / "00001.png"))
    assert [level(picture, row, CONTEXT) for row in (0, 1)] == [LEVEL, LEVEL + 10]


def missing(net: str) -> torch.nn.Module:
    raise MissingWeights(NAME, [Path("nowhere")])


def test_a_metric_without_weights_does_not_choose(tmp_path: Path) -> None:
    drawn(tmp_path, MetricSuite({"lpips[alex]": Lpips(missing), "l1": L1()}), protocol())
    assert json.loads((tmp_path / "strips.json").read_text())["chosen_by"] == "l1"


def test_nothing_is_shown_where_nothing_is_predicted_or_compared(tmp_path: Path) -> None:
    drawn(tmp_path / "no context", MetricSuite({"l1": L1()}), protocol(0, score_context=True))
    drawn(tmp_path / "not compared", MetricSuite({"acd_color": AverageContentDistance()}), protocol(samples=1))
    assert not list(tmp_path.iterdir())


def test_written_again_leaves_nothing_of_before(tmp_path: Path) -> None:
    folder = strips_folder(tmp_path, protocol())
    assert folder.name == f"quick-{protocol().hash}"
    drawn(folder, MetricSuite({"l1": L1()}), protocol())
    strips = Strips(suite := MetricSuite({"l1": L1()}), protocol(), clips=1)
    run_protocol(Shifted(), data(), protocol(), suite, strips=strips)
    assert strips.write(folder) and len(list(folder.glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("frames", "context", "expected"),
    [
        (6, 2, [0, 1, 2, 3, 4, 5]),
        (30, 2, [0, 1, *np.linspace(2, 29, 10).round().astype(int)]),
        (40, 10, [6, 7, 8, 9, *np.linspace(10, 39, 8).round().astype(int)]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_which_frames_are_shown(frames: int, context: int, expected: list[int]) -> None:
    assert shown_frames(frames, context) == expected
    assert len(expected) <= COLUMNS


def test_small_frames_are_enlarged_sharply() -> None:
    clips = np.arange(2 * 1 * 3 * 16 * 16, dtype=np.uint8).reshape(2, 1, 3, 16, 16)
    picture = strip(clips, [0, 1, 2], 1)
    assert picture.shape == (2 * 50 - 2, 3 * 50 - 2 + 6, 1)
    assert (picture[:48, :48, 0] == clips[0, 0, 0].repeat(3, 0).repeat(3, 1)).all()


def test_few_clips_are_held_however_many_samples_come() -> None:
    suite = MetricSuite({"l1": L1()})
    of = protocol()
    suite.prepare(data(), of)
    strips = Strips(suite, of)
    batch = to_float(data().eval_batch("val", range(6), FRAMES, 1, 0))
    for sample in range(20):
        strips.add(batch, batch["video"], sample)
    (kept,) = strips._kept
    clips = [value for value in vars(kept).values() if torch.is_tensor(value) and value.ndim == 5]
    assert sum(clip.numel() for clip in clips) == 4 * CLIPS * 3 * FRAMES * SIZE**2
