"""What the suite hands a metric beside the clips: the same clips' part of the batch, and only what it needs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.synthetic.shape_motion import ShapeMotion
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import run_protocol
from metrics.base import MetricResult, VideoMetric
from metrics.batch_part import part
from metrics.mask_score import MaskSSIM
from metrics.pixel import PSNR
from metrics.protocol import Protocol, ProtocolSettings
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered

KEYS = ("mask", "pose", "flow", "flow_valid", "labels", "face_box", "source", "attributes", "requested", "name")


def whole_batch(count: int, frames: int, size: int = 8) -> VideoBatch:
    """Each value tells its clip and, where there is time, its frame: 10 clip + frame."""
    clip = torch.arange(count)

    def told(*shape: int, axis: int, length: int = frames) -> Tensor:
        full = list(shape)
        full.insert(axis, length)
        frame = torch.arange(length).reshape([-1 if i == axis else 1 for i in range(len(full))])
        return (10 * clip.reshape([-1] + [1] * (len(full) - 1)) + frame).expand(full).float()

    return {
        "index": clip,
        "name": [f"clip{i}" for i in range(count)],
        "mask": told(count, 1, size, size, axis=2).to(torch.uint8),
        "pose": told(count, 1, 18, 3, axis=2),
        "flow": (32 * told(count, 2, size, size, axis=2, length=frames - 1)).to(torch.int16),
        "flow_valid": told(count, 1, size, size, axis=2, length=frames - 1),
        "labels": told(count, size, size, axis=1),
        "face_box": told(count, 4, axis=1),
        "source": told(count, 3, size, axis=2, length=size),
        "attributes": {"category": clip + 100},
        "requested": {"category": clip + 200},
    }


def test_part_takes_the_chosen_clips_and_the_scored_frames() -> None:
    out: Any = part(whole_batch(4, 6), KEYS, torch.tensor([False, True, False, True]), frames=4)
    assert set(out) == {"index", *KEYS}
    assert out["index"].tolist() == [1, 3] and out["name"] == ["clip1", "clip3"]
    assert out["attributes"]["category"].tolist() == [101, 103] and out["requested"]["category"].tolist() == [201, 203]
    frames = [[12, 13, 14, 15], [32, 33, 34, 35]]
    assert (out["mask"][:, 0, :, 0, 0] * 255).round().tolist() == frames  # widened
    assert out["pose"][:, 0, :, 0, 0].tolist() == frames
    assert out["labels"][:, :, 0, 0].tolist() == out["face_box"][:, :, 0].tolist() == frames
    assert out["flow"][:, 0, :, 0, 0].tolist() == [[12, 13, 14], [32, 33, 34]]  # 2 -> 3, 3 -> 4, 4 -> 5, in pixels
    assert out["flow_valid"][:, 0, :, 0, 0].tolist() == [[12, 13, 14], [32, 33, 34]]
    assert out["source"].shape == (2, 3, 8, 8)
    assert set(part(whole_batch(4, 6), {"mask", "condition"}, torch.ones(4, dtype=torch.bool), 6)) == {"index", "mask"}


class Recorder(VideoMetric):
    """Keeps what it is given."""

    fingerprint = "recorder"
    name = "recorder"

    def __init__(self, paired: bool, *needs: str) -> None:
        super().__init__()
        self.paired, self.needs = paired, frozenset(needs)
        self.given: list[tuple[str, list[int], Any]] = []

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        assert batch is not None
        kind = "both" if fake is not None and real is not None else "fake" if fake is not None else "real"
        self.given.append((kind, batch["index"].tolist(), batch))

    def compute(self) -> Tensor:
        raise NotImplementedError

    def result(self) -> MetricResult:
        return MetricResult(0.0, None, 0, 0, "recorder")


class Masked(ArrayData):
    """Arrays of which the masks are known."""

    name = "masked"

    def batch(self, *args: Any, **kwargs: Any) -> VideoBatch:
        batch = super().batch(*args, **kwargs)
        levels = (batch["index"] + 1)[:, None, None, None, None]
        return {**batch, "mask": levels.expand(-1, 1, *batch["video"].shape[2:]).to(torch.uint8)}


def suite_of(data: ArrayData, metrics: dict[str, VideoMetric], n_real: int = 4, n_fake: int = 3) -> MetricSuite:
    suite = MetricSuite(metrics)
    suite.prepare(data, ProtocolSettings(n_real=n_real, n_fake=n_fake).resolve(data))
    return suite


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 1, 3, 0, 2]])
def test_each_kind_gets_its_own_clips(order: list[int]) -> None:
    clips = noise_clips(0, 5, 3, 4, 8, 8)
    data = Masked(val=clips)
    pairs, kinds, blind = Recorder(True, "mask"), Recorder(False, "mask"), Recorder(False)
    suite = suite_of(data, {"recorder": pairs, "recorder_kinds": kinds, "recorder_blind": blind})
    suite.update(clips, clips, data.eval_batch("val", order, 4, 1, 0))
    below = {n: [i for i in order if i < n] for n in (3, 4)}
    assert [(kind, index) for kind, index, _ in pairs.given] == [("both", below[3])]
    assert [(kind, index) for kind, index, _ in kinds.given] == [("fake", below[3]), ("real", below[4])]
    for _, index, batch in pairs.given + kinds.given:
        assert (batch["mask"][:, 0, 0, 0, 0] * 255).round().tolist() == [i + 1 for i in index]
    assert all(set(batch) == {"index"} for _, _, batch in blind.given)


def test_what_the_data_do_not_give() -> None:
    clips = noise_clips(0, 4, 3, 4, 16, 16)
    suite = suite_of(ArrayData(val=clips), {"psnr": PSNR(), "mask_ssim": MaskSSIM()}, 4, 4)
    suite.update(clips, clips, numbered(0, 1, 2, 3))
    results = suite.results()
    assert results["mask_ssim"].value is None
    assert results["mask_ssim"].note == "needs mask; arrays gives video"
    assert results["mask_ssim"].fingerprint == MaskSSIM().fingerprint
    assert results["psnr"].value == 100
    # Prepared for data that have it, the same suite gives the number.
    data = Masked(val=clips)
    suite.reset()
    suite.prepare(data, ProtocolSettings(n_real=4, n_fake=4).resolve(data))
    suite.update(clips, clips, data.eval_batch("val", [0, 1, 2, 3], 4, 1, 0))
    assert suite.results()["mask_ssim"].value == 1


def test_a_batch_that_lost_what_the_data_give() -> None:
    clips = noise_clips(0, 4, 3, 4, 16, 16)
    suite = suite_of(Masked(val=clips), {"mask_ssim": MaskSSIM()})
    with pytest.raises(BenchError, match="mask_ssim needs mask of its clips; the batch holds index"):
        suite.update(clips, clips, numbered(0, 1, 2, 3))
    suite.update(None, None, numbered())
    suite.update(clips[:0], clips[:0], numbered())


class Obedient(Method):
    """Shows the number it was asked for as a grey level."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.nn.Identity()

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        level = noise.integers(7)[:, None, None, None, None]
        return (level / 127.5 - 1).expand(-1, 3, 4, 64, 64)

    def requested(self, batch: VideoBatch, noise: ClipNoise) -> dict[str, Tensor]:
        return {"category": noise.integers(7)}


class Asked(Recorder):
    """Keeps levels of generated clips beside what was asked for."""

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        super().update(fake, real, batch)
        if fake is not None and batch is not None:
            assert fake[:, 0, 0, 0, 0].tolist() == batch["requested"]["category"].tolist()


@pytest.mark.parametrize(("n_fake", "n_real"), [(7, 5), (3, 6)])
def test_evaluation_tells_what_was_asked_for(n_fake: int, n_real: int) -> None:
    data = ShapeMotion(frames=4)
    protocol: Protocol = ProtocolSettings(n_real=n_real, n_fake=n_fake).resolve(data)
    metric = Asked(False, "requested", "attributes")
    run_protocol(Obedient(), data, protocol, MetricSuite({"recorder": metric}), batch_size=4)
    for kind, count in (("fake", n_fake), ("real", n_real)):
        given = [batch for k, _, batch in metric.given if k == kind]
        assert sum(len(batch["requested"]["category"]) for batch in given) == count
        assert sum(len(batch["attributes"]["category"]) for batch in given) == count
