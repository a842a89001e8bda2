from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.pose.estimator import PoseEstimator
from metrics.keypoints import extent, joint_pairs, matched
from metrics.pose_metric import PoseMetric, Target

HEAD = ("nose", "neck", "right_eye", "left_eye", "right_ear", "left_ear")


class PCKh(PoseMetric):
    """PCKh as PATN computes it (Zhu et al. 2019): share of joints within half a head of where they should be.

    The head's size is the box around the target's nose, neck, eyes and ears, of which two are needed. A joint is right
    if it is off by less than `threshold` times the box's width across and its height down, per axis and strictly; a
    joint that was not found is wrong. All joints of the target in all clips give one ratio. (MPII's PCKh takes another
    head and the L2 distance.)

    Args:
        estimator: finds the poses; of a skeleton with those six joints, such as coco_18 (PATN).
        target: see `PoseMetric`.
        threshold: in heads.
        headless: where a target has no head box, its joints are `wrong` (no joint lies within a head of size 0), or are
            `left_out`. Either way the note counts the persons.
    """

    higher_is_better = True
    title = "pckh"

    def __init__(
        self,
        estimator: PoseEstimator,
        target: Target = "pose",
        threshold: float = 0.5,
        headless: Literal["wrong", "left_out"] = "wrong",
    ) -> None:
        super().__init__(estimator, target, width=5)
        if not threshold > 0:
            raise BenchError(f"pckh: threshold must be a positive number of heads, found {threshold}")
        if headless not in ("wrong", "left_out"):
            raise BenchError(f"pckh: headless must be wrong or left_out, found {headless!r}")
        self.threshold, self.headless = float(threshold), headless
        self.head = [estimator.skeleton.index(joint) for joint in HEAD]

    @property
    def rule(self) -> str:
        """See `PoseMetric`."""
        return (
            f"within {self.threshold:g} of the head box per axis, strictly, without a head box "
            f"{self.headless.replace('_', ' ')}, one ratio over all joints of the target"
        )

    def score(self, found: Tensor, target: Tensor) -> Tensor:
        """B 5: joints right, joints in all, joints not found, persons without a head box, frames without a person."""
        pairs = joint_pairs(matched(found, target), target)  # ... J
        box, boxed = extent(pairs.place[..., self.head, :], pairs.wanted[..., self.head])  # B T P 2
        near = (pairs.offset.abs() < self.threshold * box[..., None, :]).all(dim=-1)
        right = pairs.both & near
        counted = pairs.wanted if self.headless == "wrong" else pairs.wanted & boxed[..., None]
        person = pairs.wanted.any(dim=-1)  # B T P
        numbers = (
            right.sum(dim=(1, 2, 3)),
            counted.sum(dim=(1, 2, 3)),
            (counted & ~pairs.both).sum(dim=(1, 2, 3)),
            (person & ~boxed).sum(dim=(1, 2)),
            (~person.any(dim=2)).sum(dim=1),
        )
        return torch.stack(numbers, dim=1)

    def note(self, rows: Tensor) -> str:
        """What was not found, and what could not be judged."""
        _, joints, lost, headless, empty = (int(n) for n in rows.sum(dim=0))
        treated = "all wrong" if self.headless == "wrong" else "left out"
        notes = (
            f"{lost} of {joints} joints not found",
            f"{headless} persons without a head box are {treated}" if headless else "",
            f"{empty} frames without a person in the target" if empty else "",
        )
        return "; ".join(filter(None, notes))
