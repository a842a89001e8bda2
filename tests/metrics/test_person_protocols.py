"""The protocols of papers on persons, on embedded persons, with the real detectors."""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.synthetic.puppet.data import Puppet
from metrics.base import MetricResult
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered
from tests.metrics.test_protocol_configs import FOLDER, OF_PERSONS, load

CLIPS = 4


def persons(frames: int) -> Puppet:
    return Puppet(
        size=128,
        frames=frames,
        video_frames=8,
        train_videos=1,
        val_videos=1,
        test_videos=CLIPS,
        identities=(2, 2, 2),
        yaw=(0, 30),
        truth=("pose", "mask"),
        source="random",
    )


def blurred(clips: Tensor, reach: int) -> Tensor:
    b, c, t, h, w = clips.shape
    frames = clips.transpose(1, 2).reshape(-1, c, h, w).float()
    mean = F.avg_pool2d(frames, 2 * reach + 1, 1, reach, count_include_pad=False)
    return mean.round().to(torch.uint8).reshape(b, t, c, h, w).transpose(1, 2)


def measured(name: str, reach: int) -> dict[str, MetricResult]:
    """Real clips, blurred so far, under a protocol."""
    if name in ("edn", "patn") and "REELBENCH_POSE_MODELS" not in os.environ:
        pytest.skip("REELBENCH_POSE_MODELS is not set: the networks are not here")
    counts = (f"--evaluate.protocol.n_{kind}={CLIPS}" for kind in ("real", "fake"))
    frames = ("--evaluate.protocol.frames=4",) if name == "edn" else ()
    settings, metrics = load(FOLDER / f"{name}.yaml", *counts, *frames)
    assert settings.label == name and settings.frames is not None
    data = persons(settings.frames)
    suite = MetricSuite(metrics)
    suite.prepare(data, settings.resolve(data))
    batch = data.eval_batch("test", range(CLIPS), settings.frames, 1, 0)
    suite.update(blurred(batch["video"], reach), batch["video"], batch)
    return suite.results()


@pytest.mark.parametrize("name", sorted(OF_PERSONS))
def test_blur_costs_in_every_column(name: str) -> None:
    sharp, soft = measured(name, 0), measured(name, 4)
    assert sharp.keys() == soft.keys()
    for column, result in sharp.items():
        ours, theirs = result.value, soft[column].value
        assert ours is not None and result.n_fake == CLIPS, (column, result.note)
        if column == "pose_distance" and theirs is None:
            continue  # of blurred persons not one is complete: no number, and missed_detections says so
        assert theirs is not None, (column, soft[column].note)
        assert theirs < ours if column.startswith(("ssim", "mask", "pckh", "ds")) else theirs > ours, column


def test_scores_of_classes_read_whole_frames_and_persons() -> None:
    results = measured("pg2_is", 0)  # too few clips for 10 splits where Inception is there
    assert set(results) == {"is10[inception]", "mask_is10[inception]"}
    assert all("needs at least 10 clips" in r.note or "weights fetch inception" in r.note for r in results.values())


def test_equal_frames_are_masked_alike() -> None:
    assert all(result.value == 1 for result in measured("pg2", 0).values())


def test_equal_clips_have_equal_poses() -> None:
    assert {column: result.value for column, result in measured("edn", 0).items()} == {
        "pose_distance": 0,
        "missed_detections": 0,
    }


def test_persons_stand_where_the_network_finds_them() -> None:
    results = measured("patn", 0)
    assert results["pckh"].value is not None and results["pckh"].value > 0.7
    assert results["ds[blazepose]"].value is not None and results["ds[blazepose]"].value > 0.8
    assert "blazepose coco_18, persons 1, detection every 5, visible 0.1, sha256" in results["pckh"].fingerprint


def test_data_without_persons_leave_the_columns_empty() -> None:
    clips = noise_clips(0, 2, 3, 1, 16, 16)
    data = ArrayData(test=clips)
    _, metrics = load(FOLDER / "pg2.yaml")
    suite = MetricSuite(metrics)
    suite.prepare(data, ProtocolSettings(split="test", n_real=2, n_fake=2).resolve(data))
    suite.update(clips, clips, numbered(0, 1))
    notes = {column: result.note for column, result in suite.results().items()}
    assert notes["mask_ssim"] == "needs source_pose; arrays gives video"
    assert notes["mask_ssim_inside"] == "needs mask; arrays gives video"


def test_networks_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBENCH_POSE_MODELS", raising=False)
    with pytest.raises(BenchError, match="REELBENCH_POSE_MODELS is not set"):
        load(FOLDER / "edn.yaml")
