"""Improved precision and recall (Kynkaanniemi et al., NeurIPS 2019): shares that lie in the other side's support."""

import math

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import Rows
from metrics.feature_metric import FeatureMetric
from metrics.features.base import Extractor

_AT_ONCE = 1024


def radii(points: Tensor, k: int) -> Tensor:
    """Distance of each of N points (N x d) to its k-th nearest other one, N float64."""
    return torch.cat([_distances(part, points).kthvalue(k + 1, dim=1).values for part in points.split(_AT_ONCE)])


def covered(centres: Tensor, points: Tensor, k: int) -> Tensor:
    """Which points lie within the ball of a centre that reaches to its k-th nearest other centre.

    Args:
        centres: N d, N above k.
        points: M d.

    Returns:
        M bool.
    """
    centres, points = centres.double(), points.double()
    reach = radii(centres, k)
    return torch.cat([(_distances(part, centres) <= reach).any(dim=1) for part in points.split(_AT_ONCE)])


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


class _Coverage(FeatureMetric):
    """One of the two shares."""

    higher_is_better = True
    title: str

    def __init__(self, extractor: Extractor, k: int = 3, frames_per_clip: int | None = None) -> None:
        frame = "_frame" if extractor.level == "frame" else ""
        super().__init__(f"{self.title}{frame}[{extractor.name}]", extractor, frames_per_clip)
        if k < 1:
            raise BenchError(f"{self.name}: k must be at least 1, found {k}")
        self.k = k

    @property
    def fewest(self) -> int:
        """A centre needs k others."""
        return self.k + 1

    def share(self, centres: Rows, points: Rows) -> tuple[float, float | None, str]:
        """Share of the points that are covered, and its error over clips, the centres being as they are."""
        inside = covered(centres.values, points.values, self.k).double()
        clips = torch.zeros(points.clips, dtype=torch.float64).index_add_(0, points.place, inside)
        counts = points.place.bincount(minlength=points.clips)
        of_clips = clips / counts
        return float(inside.mean()), float(of_clips.std() / math.sqrt(points.clips)), ""


class Precision(_Coverage):
    """Share of generated clips (or frames) that lie in the support of the real ones: `precision[NAME]`.

    The support is the union of balls around features that reach to their k-th nearest neighbour of the same kind. It
    depends on the counts: compare at equal ones.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        k: nearest neighbour; 3 as published.
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
    """

    title = "precision"

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"share of generated features within a real one's {self.k}-th neighbour; {self.features_fingerprint}"

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """See `FeatureMetric.between`."""
        return self.share(real, fake)


class Recall(_Coverage):
    """Share of real clips (or frames) that lie in the support of the generated ones: `recall[NAME]`; see `Precision`.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        k: nearest neighbour; 3 as published.
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
    """

    title = "recall"

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"share of real features within a generated one's {self.k}-th neighbour; {self.features_fingerprint}"

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """See `FeatureMetric.between`."""
        return self.share(fake, real)
