"""How far poses are off, and what is not found of them, as Everybody Dance Now counts it."""

from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.pose.estimator import PoseEstimator
from metrics.keypoints import joint_pairs, matched
from metrics.pose_metric import PoseMetric, Target


class PoseDistance(PoseMetric):
    """Pose distance of Everybody Dance Now (Chan et al. 2018): d = 1/J sum over joints of |p - p'|_2, in pixels.

    The paper averages over poses of which all joints were found on both sides. Other poses are counted in the note: a
    method that shows few whole persons is judged on those alone, so read it beside `MissedDetections`.

    Args:
        estimator: finds the poses. Its skeleton should have no joint that it never gives (BlazePose has no small toes:
            take coco_18).
        target: see `PoseMetric`.
        poses: `complete` ones as in the paper, or `any`: the mean over the joints that both sides have.
    """

    higher_is_better = False
    title = "pose_distance"

    def __init__(
        self, estimator: PoseEstimator, target: Target = "pose", poses: Literal["complete", "any"] = "complete"
    ) -> None:
        super().__init__(estimator, target, width=4)
        if poses not in ("complete", "any"):
            raise BenchError(f"pose_distance: poses must be complete or any, found {poses!r}")
        self.poses = poses

    @property
    def rule(self) -> str:
        """See `PoseMetric`."""
        joints = "all joints of complete poses" if self.poses == "complete" else "the joints that both poses have"
        return f"mean L2 in pixels over {joints}, then over poses"

    def score(self, found: Tensor, target: Tensor) -> Tensor:
        """B 4: sum of poses' distances, number of poses, persons in the target, frames without one."""
        pairs = joint_pairs(matched(found, target), target)  # ... J
        joints = pairs.both.sum(dim=-1)  # B T P
        enough = joints == pairs.both.shape[-1] if self.poses == "complete" else joints > 0
        distance = pairs.offset.norm(dim=-1).sum(dim=-1) / joints.clamp_min(1)
        person = pairs.wanted.any(dim=-1)
        numbers = (
            (distance * enough).sum(dim=(1, 2)),
            enough.sum(dim=(1, 2)),
            person.sum(dim=(1, 2)),
            (~person.any(dim=2)).sum(dim=1),
        )
        return torch.stack([n.double() for n in numbers], dim=1)

    def note(self, rows: Tensor) -> str:
        """How many poses entered."""
        _, entered, persons, empty = (int(n) for n in rows.sum(dim=0))
        said = f"{entered} of {persons} poses are {'complete' if self.poses == 'complete' else 'found'}"
        return said + (f"; {empty} frames without a person in the target" if empty else "")


class MissedDetections(PoseMetric):
    """Missed detections of Everybody Dance Now (Chan et al. 2018): joints lost per image, on average.

    A joint is lost that the target has and that is not found in the generated frame. Frames without a person in the
    target can lose nothing; they are left out and counted.

    Args:
        estimator: finds the poses.
        target: see `PoseMetric`.
    """

    higher_is_better = False
    title = "missed_detections"

    def __init__(self, estimator: PoseEstimator, target: Target = "pose") -> None:
        super().__init__(estimator, target, width=4)

    @property
    def rule(self) -> str:
        """See `PoseMetric`."""
        return f"joints of the target that are not found, per image, {len(self.estimator.skeleton)} joints at most"

    def score(self, found: Tensor, target: Tensor) -> Tensor:
        """B 4: joints lost, frames with a person in the target, joints of the target, other frames."""
        pairs = joint_pairs(matched(found, target), target)
        shown = pairs.wanted.any(dim=(2, 3))  # B T
        lost = (pairs.wanted & ~pairs.both).sum(dim=(1, 2, 3))
        return torch.stack([lost, shown.sum(dim=1), pairs.wanted.sum(dim=(1, 2, 3)), (~shown).sum(dim=1)], dim=1)

    def note(self, rows: Tensor) -> str:
        """Of how many."""
        lost, _, joints, empty = (int(n) for n in rows.sum(dim=0))
        said = f"{lost} of {joints} joints lost"
        return said + (f"; {empty} frames without a person in the target" if empty else "")
