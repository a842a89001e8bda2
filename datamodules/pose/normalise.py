"""Global pose normalisation of Everybody Dance Now: a source dancer's poses at the size and place of a target's."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from datamodules.errors import BenchError
from datamodules.pose.skeletons import Skeleton

Rule = Literal["official", "mended"]

NEAR_SHARE = 0.05  # frames so close to the nearest or farthest stand, as a share of the range, give its body height
TOO_SMALL = 0.1  # a body height this share below the largest of all is replaced by that


@dataclass(frozen=True)
class Stance:
    """Where a person stands and how tall he appears, T frames.

    Attributes:
        height: of the middle of the ankles below the head, in pixels.
        toe: y of the lower ankle.
        usable: whether head and ankles are there.
    """

    height: np.ndarray
    toe: np.ndarray
    usable: np.ndarray


def stance(poses: np.ndarray, skeleton: Skeleton, rule: Rule = "official") -> Stance:
    """Measures poses (T J 3). The head is the nose, or else the middle of the ears.

    Args:
        rule: the official code asks for the left ear where the left ankle is meant, so that people seen from their
            right side are dropped and a missing left ankle counts as lying at (0, 0). `mended` asks for the ankle.
    """
    named = {name: poses[:, skeleton.index(name)] for name in _NAMES}
    nose, right_ear, left_ear, right, left = (named[name] for name in _NAMES)
    there = {name: joint[:, 2] > 0 for name, joint in named.items()}
    head = np.where(there["nose"][:, None], nose, (right_ear + left_ear) / 2)[:, :2].astype(np.float64)
    usable = there["nose"] | (there["right_ear"] & there["left_ear"])
    usable &= there["right_ankle"] & there["left_ear" if rule == "official" else "left_ankle"]
    way = head - (right[:, :2].astype(np.float64) + left[:, :2]) / 2
    return Stance(np.hypot(way[:, 0], way[:, 1]), np.maximum(right[:, 1], left[:, 1]).astype(np.float64), usable)


_NAMES = ("nose", "right_ear", "left_ear", "right_ankle", "left_ankle")


@dataclass(frozen=True)
class Normalisation:
    """The map from source to target; y is that of the lower ankle.

    Attributes:
        scale_near, scale_far: of bodies at the nearest and the farthest stand.
        source, target: (near, far) y of the stands.
        shrunk: whether the target's range was cut to the source's length, because the source moves less.
    """

    scale_near: float
    scale_far: float
    source: tuple[float, float]
    target: tuple[float, float]
    shrunk: bool

    def shift_and_scale(self, toe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By how much a body whose lower ankle has y = `toe` moves down, and its scale; not clipped to the stands."""
        near, far = self.source
        share = (toe - far) / (near - far)
        moved = self.target[1] + share * (self.target[0] - self.target[1])
        return moved - toe, self.scale_far + share * (self.scale_near - self.scale_far)

    def apply(
        self, poses: np.ndarray, skeleton: Skeleton, width: int, rule: Rule = "official"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Normalised poses, and which frames could be measured; others move like the last frame before them.

        The point that scaling leaves in place is the middle of the target's picture and the lower ankle of the first
        frame that can be measured: sideways people only move towards or away from the middle.

        Args:
            poses: source poses T J 3.
            width: of the target's frames.

        Raises:
            BenchError: no frame can be measured.
        """
        measured = stance(poses, skeleton, rule)
        usable = np.flatnonzero(measured.usable)
        if not len(usable):
            raise BenchError("pose normalisation: none of the source's frames shows head and ankles")
        taken = usable[np.maximum(np.searchsorted(usable, np.arange(len(poses)), side="right") - 1, 0)]
        shift, scale = (values[:, None] for values in self.shift_and_scale(measured.toe[taken]))
        pivot_x, pivot_y = width // 2, measured.toe[usable[0]]
        out = poses.astype(np.float64)
        out[..., 0] = scale * (out[..., 0] - pivot_x) + pivot_x
        out[..., 1] = scale * (out[..., 1] - pivot_y) + pivot_y + shift
        return np.where(poses[..., 2:] > 0, out, 0).astype(poses.dtype), measured.usable


def fit(
    target: np.ndarray, source: np.ndarray, skeleton: Skeleton, far_share: float = 0.5, rule: Rule = "official"
) -> Normalisation:
    """Learns the map from poses of both dancers (T J 3), from all usable frames.

    The official code draws frames at random with replacement instead, without a seed.

    Args:
        far_share: the farthest stand is the highest y that lies less than this share of (nearest - median) above the
            median; the code's default. Its help suggests 0.5 or 0.7.
        rule: see `stance`. `official` also takes the largest first height of any y where the largest is meant.

    Raises:
        BenchError: a dancer shows head and ankles too seldom, or never changes place.
    """
    theirs, ours = _measured(target, skeleton, rule, "target"), _measured(source, skeleton, rule, "source")
    (target_near, target_far), (near, far) = (_stands(who.toe, far_share) for who in (theirs, ours))
    if near <= far or target_near <= target_far:
        raise BenchError("pose normalisation: a dancer whose lower ankle keeps its y gives no near and far stand")
    shrunk = near - far < target_near - target_far
    if shrunk:
        middle = (target_near + target_far) / 2
        target_near, target_far = middle + (near - far) / 2, middle - (near - far) / 2
    target_heights = _heights(theirs, target_near, target_far, rule)
    heights = _heights(ours, near, far, rule)
    return Normalisation(
        scale_near=target_heights[0] / heights[0],
        scale_far=target_heights[1] / heights[1],
        source=(near, far),
        target=(target_near, target_far),
        shrunk=shrunk,
    )


def _measured(poses: np.ndarray, skeleton: Skeleton, rule: Rule, who: str) -> Stance:
    """The usable frames."""
    all_frames = stance(poses, skeleton, rule)
    usable = all_frames.usable
    if not usable.any():
        raise BenchError(f"pose normalisation: none of the {who}'s {len(poses)} frames shows head and ankles")
    return Stance(all_frames.height[usable], all_frames.toe[usable], usable[usable])


def _stands(toe: np.ndarray, far_share: float) -> tuple[float, float]:
    """Lower ankle of the nearest and the farthest stand."""
    near, median = float(toe.max()), float(np.median(toe))
    above = median - toe
    counted = above[(above > 0) & (above < far_share * (near - median))]
    return near, median - float(counted.max(initial=0))


def _heights(who: Stance, near: float, far: float, rule: Rule) -> tuple[float, float]:
    """The tallest body at each stand. Where nobody is near the nearest one, as after shrinking, the tallest of all."""
    reach = NEAR_SHARE * (near - far)
    close, distant = (who.height[np.abs(who.toe - stand) < reach] for stand in (near, far))
    if not len(distant):
        raise BenchError(
            f"pose normalisation: in no frame is the lower ankle within {reach:.1f} pixels of y = {far:.1f}"
        )
    largest = who.height.max()
    if rule == "official":
        largest = who.height[np.unique(who.toe, return_index=True)[1]].max()
    tallest = float(close.max(initial=0))
    return float(largest) if largest - tallest > TOO_SMALL * largest else tallest, float(distant.max())
