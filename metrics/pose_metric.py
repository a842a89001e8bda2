"""Base of metrics that hold the poses found in generated clips against those that they should show."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.convert import convert
from datamodules.pose.estimator import PoseEstimator
from datamodules.pose.skeletons import Skeleton, skeleton
from datamodules.synthetic.puppet.data import DRAWN_LIKE
from metrics.estimates import RatioOfSums
from metrics.informed import check_shape

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

Target = Literal["pose", "estimate"]


class PoseMetric(RatioOfSums):
    """Detects poses in generated clips and holds them against the target's; joints by name, in pixels.

    Args:
        estimator: finds the poses; its skeleton is the metric's.
        target: `pose` is the batch's, to which real clips are held too: the note's value is what the estimator itself
            errs. `estimate` finds the target in the real clip with the same estimator, whose bias then cancels.
        width: numbers in a row; the first over the second is the value.
    """

    title: str

    def __init__(self, estimator: PoseEstimator, target: Target, width: int) -> None:
        if target not in ("pose", "estimate"):
            raise BenchError(f"{self.title}: target must be pose or estimate, found {target!r}")
        super().__init__(width, paired=target == "estimate")
        self.name = self.title
        self.estimator, self.target = estimator, target
        self.needs = frozenset({"pose"} if target == "pose" else ())
        self.given: Skeleton | None = None  # of the batch's poses

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        against = "the data's poses" if self.target == "pose" else "poses found in real clips"
        return f"{self.title}, {self.rule}; {self.estimator.fingerprint} against {against}"

    @property
    def rule(self) -> str:
        """What is computed, in words."""
        raise NotImplementedError(f"{type(self).__name__}.rule")

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Reads which skeleton the data's poses have."""
        super().prepare(data, protocol)
        if self.target == "pose":
            self.given = skeleton_of(data)

    def score(self, found: Tensor, target: Tensor) -> Tensor:
        """B T Q J 3 and B T P J 3 -> B width."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """See `score`."""
        if self.given is None:
            raise BenchError(f"{self.name}: prepare(data, protocol) comes before update: it reads the data's skeleton")
        pose = batch["pose"]  # B P T J 3
        expected = (len(clips), pose.shape[1], clips.shape[2], len(self.given), 3)
        check_shape(self.name, "pose", pose, expected)
        known = convert(pose.cpu().numpy().swapaxes(1, 2), self.given, self.estimator.skeleton)
        return self.score(self.detect(clips), torch.from_numpy(known))

    def compare(self, fake: Tensor, real: Tensor, batch: VideoBatch) -> Tensor:
        """See `score`."""
        return self.score(self.detect(fake), self.detect(real))

    def detect(self, clips: Tensor) -> Tensor:
        """Poses in uint8 B C T H W: float32 B T P J 3 on the CPU."""
        frames = clips.expand(-1, 3, -1, -1, -1).permute(0, 2, 3, 4, 1).cpu().numpy()  # B T H W 3
        poses = [self.estimator.estimate(np.ascontiguousarray(clip)).poses for clip in frames]  # one video at a time
        persons = max(pose.shape[1] for pose in poses)
        padded = [np.pad(pose, ((0, 0), (0, persons - pose.shape[1]), (0, 0), (0, 0))) for pose in poses]
        return torch.from_numpy(np.stack(padded).astype(np.float32))


def skeleton_of(data: "ClipData") -> Skeleton:
    """The skeleton of the data's poses.

    Raises:
        BenchError: the data do not say.
    """
    name = getattr(data, "skeleton", None)
    if not isinstance(name, str):
        raise BenchError(f"{data.name} does not say which skeleton its poses have (attribute `skeleton`)")
    return DRAWN_LIKE.get(name) or skeleton(name)
