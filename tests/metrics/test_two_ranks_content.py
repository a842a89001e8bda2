"""Two gloo processes with uneven shares of clips give what one process gives, for metrics that read the batch."""

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.pose.skeletons import COCO_18
from metrics.base import MetricResult, VideoMetric
from metrics.classifier_score import MotionControlScore
from metrics.detection_score import DetectionScore
from metrics.dynamic_degree import DynamicDegree
from metrics.entropy import InterEntropy, IntraEntropy
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance
from metrics.identity import AverageEmbeddingDistance, AverageIdentityDistance
from metrics.keypoint_distance import AverageKeypointDistance
from metrics.mask_score import MaskSSIM
from metrics.masked import Masked
from metrics.pckh import PCKh
from metrics.pose_distance import MissedDetections, PoseDistance
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from metrics.temporal import SubjectConsistency, TemporalFlickering
from metrics.warping_error import WarpingError
from tests.metrics.array_data import ArrayData, noise_clips
from tests.metrics.person_data import WrittenPoses, random_poses
from tests.metrics.test_detection_score import Brightness
from tests.metrics.test_warping_error import Sliding
from tests.metrics.two_ranks import CASES, Results, of_two_ranks

FRAMES, SIZE = 4, 18  # as wide as WrittenPoses needs


class Known(ArrayData):
    """Arrays of which everything is known; the first clip's masks are empty, the second's flow is nowhere valid."""

    name = "known"
    skeleton = COCO_18.name

    def open_store(self, split: str) -> Any:
        store = super().open_store(split)
        store.attributes = {"category": torch.arange(len(store.lengths)).numpy() % 4}
        return store

    def batch(self, *args: Any, **kwargs: Any) -> VideoBatch:
        batch = super().batch(*args, **kwargs)
        index = batch["index"]
        rng = [torch.Generator().manual_seed(int(i)) for i in index]

        def drawn(*shape: int) -> Tensor:
            each = [torch.rand(shape, generator=g) for g in rng]
            return torch.stack(each) if each else torch.empty(0, *shape)

        later = (index > 0)[:, None, None, None, None]
        batch["mask"] = (drawn(1, FRAMES, SIZE, SIZE).mul(255) * later).to(torch.uint8)
        batch["flow"], batch["flow_back"] = (2 * drawn(2, FRAMES - 1, SIZE, SIZE) - 1 for _ in range(2))
        valid = (drawn(1, FRAMES - 1, SIZE, SIZE) > 0.3) & (index != 1)[:, None, None, None, None]
        batch["flow_valid"] = valid.to(torch.uint8)
        batch["pose"] = random_poses(3, 5)[index].float().transpose(1, 2)
        batch["requested"] = {"category": (index * 2) % 4}
        return batch


def informed_metrics() -> dict[str, VideoMetric]:
    frame, clip = RandomFeatures("frame", num_features=8), RandomFeatures("clip", num_features=4)
    poses, sliding = WrittenPoses(), Sliding(1, 0.5, 2)
    metrics: list[VideoMetric] = [
        AverageIdentityDistance(frame),
        AverageEmbeddingDistance(frame),
        IntraEntropy(clip),
        InterEntropy(clip),
        MotionControlScore(clip),
        MaskSSIM(),
        MaskSSIM("mask"),
        Masked(FrechetDistance(frame)),
        TemporalFlickering(),
        SubjectConsistency(frame),
        WarpingError(occlusion="valid"),
        WarpingError(occlusion="valid", region="occluded"),
        DynamicDegree(sliding),
        PCKh(poses),
        PoseDistance(poses),
        MissedDetections(poses),
        AverageKeypointDistance(poses),
        DetectionScore(Brightness()),
    ]
    columns = {m.name: m for m in metrics}
    return {**columns, "warping_error_own": WarpingError(sliding), "warping_error_lai": WarpingError()}


def scored(numbers: list[int], n_real: int, feed_nothing: bool) -> dict[str, MetricResult]:
    """This rank's clips in batches of two, then the results of all ranks."""
    fake, real = noise_clips(0, 5, 3, FRAMES, SIZE, SIZE), noise_clips(1, 5, 3, FRAMES, SIZE, SIZE)
    for clips, seed in ((fake, 3), (real, 4)):  # poses that are a little off, and the same for all metrics
        clips[:, :, :, :1] = random_poses(seed, 5).permute(0, 4, 1, 2, 3).to(torch.uint8)
    fake[0, 0, :, 0] += 3
    fake[2, 2, 1, 0, :5] = 0
    data = Known(val=real)
    suite = MetricSuite(informed_metrics())
    suite.prepare(data, ProtocolSettings(n_real=n_real, n_fake=5).resolve(data))
    for start in range(0, len(numbers), 2):
        chosen = numbers[start : start + 2]
        batch = data.eval_batch("val", chosen, FRAMES, 1, 0)
        suite.update(fake[chosen], real[[i for i in chosen if i < n_real]], batch)
    if feed_nothing:
        suite.update(fake[:0], real[:0], data.eval_batch("val", [], FRAMES, 1, 0))
    return suite.results()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    return of_two_ranks(scored, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_equal_one(of_ranks: list[Results], case: str) -> None:
    _, n_real, _ = CASES[case]
    expected = scored([0, 1, 2, 3, 4], n_real, feed_nothing=False)
    assert of_ranks[0][case] == of_ranks[1][case]
    assert set(expected) == set(of_ranks[0][case])
    for column, single in expected.items():
        ours = of_ranks[0][case][column]
        assert single.value is not None, (column, single.note)
        for key, value in single.as_dict().items():
            if isinstance(value, float):
                assert ours[key] == pytest.approx(value, rel=1e-4, abs=1e-9), (column, key)
            elif key != "note":
                assert ours[key] == value, (column, key)


def test_what_could_not_enter_is_said() -> None:
    results = scored([0, 1, 2, 3, 4], 5, feed_nothing=True)
    assert results["mask_ssim"].note == "4 frames with an empty mask count as 1"
    assert results["mask_ssim_inside"].note.startswith("1 of 5 clips have an empty mask in all frames")
    assert results["warping_error"].note.startswith("1 of 5 clips have no pair of frames with a pixel to compare")
    assert results["missed_detections"].note.startswith("5 of 360 joints lost")
    assert results["pose_distance"].note.startswith("19 of 20 poses are complete")
    assert "were not asked" not in results["mcs[random]"].note and "real clips" in results["mcs[random]"].note
    for column, result in results.items():
        assert result.n_fake == 5, column
