import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from metrics.keypoint_distance import AverageKeypointDistance
from metrics.pose_distance import MissedDetections, PoseDistance
from tests.metrics.array_data import numbered
from tests.metrics.person_data import WrittenPoses, prepared, random_poses, with_pose, written


def test_distance_of_complete_poses_only() -> None:
    target = random_poses(0)
    found = target.clone()
    found[0, ..., :2] += torch.tensor([3, 4])
    found[1, ..., 0] += 7
    found[1, 0, 0, 5, 2] = 0  # an incomplete pose
    target[2, 1:, 0, 6, 2] = 0  # and three of the target's
    metric = prepared(PoseDistance(WrittenPoses()))
    metric.update(written(found), None, with_pose(target))
    result = metric.result()
    assert result.value == pytest.approx((4 * 5 + 3 * 7 + 0) / 8)
    assert result.note == "8 of 12 poses are complete"
    metric = prepared(PoseDistance(WrittenPoses(), poses="any"))
    metric.update(written(found), None, with_pose(target))
    assert metric.result().value == pytest.approx((4 * 5 + 4 * 7 + 0) / 12)
    assert metric.result().note == "12 of 12 poses are found"


def test_no_complete_pose_gives_no_number() -> None:
    target = random_poses(0)
    found = target.clone()
    found[..., 0, 2] = 0
    target[1] = 0
    metric = prepared(PoseDistance(WrittenPoses()))
    metric.update(written(found), None, with_pose(target))
    assert metric.result().value is None
    assert metric.result().note == "0 of 8 poses are complete; 4 frames without a person in the target"


def test_missed_detections_by_hand() -> None:
    target = random_poses(0, count=2, frames=3)
    found = target.clone()
    found[0, 0, 0, :4, 2] = 0  # four lost
    found[1, 2] = 0  # all 18 lost
    target[0, 2, 0, 3:, 2] = 0  # three to be lost, none is
    target[1, 0] = 0  # nobody: not an image of the mean
    metric = prepared(MissedDetections(WrittenPoses()))
    metric.update(written(found), None, with_pose(target))
    result = metric.result()
    assert result.value == pytest.approx(22 / 5)
    assert result.note == "22 of 75 joints lost; 1 frames without a person in the target"


def test_key_point_distance_by_hand() -> None:
    target = random_poses(0, count=2, frames=2)
    found = target.clone()
    found[0, 0, 0, :, :2] += torch.tensor([2, 4])  # mean |dx| 3
    found[0, 1, 0, 0, 0] += 9  # of 18 key-points and two coordinates: 0.25
    found[1, 0, 0, 1:, 2] = 0
    found[1, 0, 0, 0, 1] -= 5  # the one that is left: 2.5
    found[1, 1] = 0
    metric = AverageKeypointDistance(WrittenPoses())
    metric.update(written(found), written(target), numbered(0, 1))
    result = metric.result()
    assert result.value == pytest.approx((3 + 0.25 + 2.5) / 3)
    assert result.note == "35 of 72 key-points missing (48.61%)"
    assert metric.paired and (result.n_fake, result.n_real) == (2, 2)
    metric.reset()
    metric.update(written(found), written(0 * target), numbered(0, 1))
    assert metric.result().value is None
    assert metric.result().note == "0 of 0 key-points missing; 4 frames without a person in the target"


def test_key_point_distance_equals_numpy() -> None:
    target, found = random_poses(3), random_poses(4)
    metric = AverageKeypointDistance(WrittenPoses(), target="pose")
    prepared(metric).update(written(found), None, with_pose(target))
    expected = np.abs(found[..., :2].numpy() - target[..., :2].numpy()).mean()
    assert metric.result().value == pytest.approx(expected, rel=1e-6)


def test_arguments() -> None:
    with pytest.raises(BenchError, match="pose_distance: poses must be complete or any, found 'all'"):
        PoseDistance(WrittenPoses(), poses="all")  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="akd: target must be pose or estimate, found 'real'"):
        AverageKeypointDistance(WrittenPoses(), target="real")  # type: ignore[arg-type]
    assert (
        "pose_distance, mean L2 in pixels over all joints of complete poses" in PoseDistance(WrittenPoses()).fingerprint
    )
