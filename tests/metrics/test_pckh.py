import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.pose.skeletons import BODY_25, COCO_18
from metrics.base import MetricResult
from metrics.pckh import HEAD, PCKh
from metrics.protocol import ProtocolSettings
from tests.metrics.array_data import noise_clips, numbered
from tests.metrics.person_data import JOINTS, Posed, WrittenPoses, prepared, random_poses, with_pose, written


def posed(head: tuple[int, int] = (10, 8)) -> Tensor:
    """One pose B T P J 3 with a head box of this width and height, all other joints at (60, 60)."""
    poses = torch.full((1, 1, 1, JOINTS, 3), 60)
    poses[..., 2] = 1
    joints = [COCO_18.index(joint) for joint in HEAD]
    poses[..., joints, 0], poses[..., joints, 1] = 40, 30
    poses[..., joints[1], 0], poses[..., joints[1], 1] = 40 + head[0], 30 + head[1]
    return poses


def scored(found: Tensor, target: Tensor, **arguments: object) -> MetricResult:
    metric = prepared(PCKh(WrittenPoses(), **arguments))  # type: ignore[arg-type]
    metric.update(written(found), None, with_pose(target))
    result: MetricResult = metric.result()
    return result


def test_head_joints_are_patns() -> None:
    assert [COCO_18.index(joint) for joint in HEAD] == [0, 1, 14, 15, 16, 17]


@pytest.mark.parametrize(
    ("offset", "right"),
    [((0, 0), 1), ((4, 3), 1), ((-4, -3), 1), ((5, 0), 0), ((0, 4), 0), ((4, 4), 0), ((0, -4), 0), ((-5, 3), 0)],
)
def test_half_a_head_per_axis_and_strictly(offset: tuple[int, int], right: int) -> None:
    target = posed((10, 8))
    found = target.clone()
    found[..., COCO_18.index("left_knee"), :2] += torch.tensor(offset)
    assert scored(found, target).value == pytest.approx((JOINTS - 1 + right) / JOINTS)


def test_threshold_is_in_heads() -> None:
    target = posed((10, 8))
    found = target.clone()
    found[..., COCO_18.index("left_knee"), 0] += 9
    assert scored(found, target, threshold=1.0).value == 1
    assert scored(found, target, threshold=0.9).value == pytest.approx(17 / 18)  # strictly
    assert "within 0.9 of the head box" in scored(found, target, threshold=0.9).fingerprint


def test_missing_joints() -> None:
    target = posed()
    found = target.clone()
    found[..., 2:5, 2] = 0  # three are not found: wrong
    target[..., 9:11, 2] = 0  # two are not in the target: not counted, found or not
    result = scored(found, target)
    assert result.value == pytest.approx(13 / 16)
    assert result.note == "3 of 16 joints not found"
    nothing = scored(0 * found, target)
    assert nothing.value == 0 and nothing.note == "16 of 16 joints not found"


def test_one_ratio_over_all_joints_of_all_clips() -> None:
    target, found = random_poses(0), random_poses(0)
    target[0, :, :, 5:, 2] = 0  # clips have different numbers of joints
    found[1, :2, :, :, :2] += 100
    metric = prepared(PCKh(WrittenPoses()))
    metric.update(written(found), None, with_pose(target))
    result = metric.result()
    right, joints = np.array([20.0, 36, 72]), np.array([20.0, 72, 72])
    ratio = right.sum() / joints.sum()
    assert result.value == pytest.approx(ratio)
    left_out = [(right.sum() - r) / (joints.sum() - j) for r, j in zip(right, joints, strict=True)]
    jackknife = np.sqrt(2 / 3 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert result.standard_error == pytest.approx(jackknife, rel=0.35)


def test_targets_without_a_head_box() -> None:
    target = posed()
    target[..., [COCO_18.index(joint) for joint in HEAD[1:]], 2] = 0  # the nose alone
    both = torch.cat([target, posed()])
    wrong = scored(both, both)
    assert wrong.value == pytest.approx(18 / 31)
    assert wrong.note == "0 of 31 joints not found; 1 persons without a head box are all wrong"
    left_out = scored(both, both, headless="left_out")
    assert left_out.value == 1
    assert left_out.note == "0 of 18 joints not found; 1 persons without a head box are left out"
    nobody = scored(target, 0 * target)
    assert nobody.value is None and nobody.note.endswith("1 frames without a person in the target")


def test_real_clips_tell_what_the_estimator_errs() -> None:
    target = random_poses(0)
    real = target.clone()
    real[..., 3, 2] = 0
    metric = prepared(PCKh(WrittenPoses()))
    metric.update(written(target), None, with_pose(target))
    metric.update(None, written(real), with_pose(target))
    assert metric.result().value == 1
    assert metric.result().note.endswith("real clips: 0.9444 +- 0")
    # found in the real clip by the same estimator, nothing is to be had from the batch
    both = PCKh(WrittenPoses(), target="estimate")
    assert both.paired and both.needs == frozenset()
    both.update(written(real), written(target), numbered(0, 1, 2))
    assert both.result().value == pytest.approx(17 / 18)
    assert both.result().n_real == 3 and "found in real clips" in both.fingerprint


def test_several_persons_in_any_order() -> None:
    target = random_poses(1, persons=2)
    metric = prepared(PCKh(WrittenPoses()))
    metric.update(written(target[:, :, [1, 0]]), None, with_pose(target))
    assert metric.result().value == 1


def test_joints_are_told_by_name() -> None:
    target = random_poses(2, joints=len(BODY_25))
    names = [BODY_25.index(joint) for joint in COCO_18.joints]
    metric = prepared(PCKh(WrittenPoses()), BODY_25)
    metric.update(written(target[..., names, :]), None, with_pose(target))
    assert metric.result().value == 1


def test_skeleton_of_the_data() -> None:
    metric = PCKh(WrittenPoses())
    clips = noise_clips(0, 2, 3, 4, 16, 16)
    with pytest.raises(BenchError, match="prepare"):
        metric.update(clips, None, with_pose(random_poses(0, 2)))
    for name, expected in (("body_25", BODY_25), ("openpose18", COCO_18)):
        data = Posed(name, val=clips)
        metric.prepare(data, ProtocolSettings().resolve(data))
        assert metric.given is expected
    with pytest.raises(BenchError, match=r"batch\['pose'\] is \(2, 1, 3, 18, 3\), with these clips it must be"):
        metric.update(clips, None, with_pose(random_poses(0, 2, frames=3)))
    with pytest.raises(BenchError, match="threshold must be a positive number of heads, found 0"):
        PCKh(WrittenPoses(), threshold=0)
