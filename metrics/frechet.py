"""Frechet distance between feature distributions: FVD, FID and their kin, by the extractor."""

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import DescribingMetric, Rows
from metrics.base import MetricResult
from metrics.features.base import Extractor

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class Gaussian(NamedTuple):
    """A normal distribution by its mean (d) and any factor (d x k) with covariance = factor @ factor.T; float64."""

    mean: Tensor
    factor: Tensor


def from_moments(mean: Tensor, covariance: Tensor) -> Gaussian:
    """The factor is V sqrt(w), from the eigenvectors of the covariance (d x d)."""
    values, vectors = torch.linalg.eigh(covariance.double())
    return Gaussian(mean.double(), vectors * values.clamp_min(0).sqrt())  # rounding leaves eigenvalues of -1e-17


def fit(features: Tensor, ddof: int = 1) -> Gaussian:
    """Moments of N features (N x d), covariance over N - ddof.

    Up to N = d the centred features are themselves the factor: exact where the covariance is singular, and the root
    below then costs N^3 in place of d^3.
    """
    features = features.double()
    count, dims = features.shape
    mean = features.mean(dim=0)
    scaled = (features - mean) / math.sqrt(count - ddof)
    return Gaussian(mean, scaled.T) if count <= dims else from_moments(mean, scaled.T @ scaled)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|mean_a - mean_b|^2 + Tr(S_a + S_b - 2 (S_a S_b)^(1/2)): FID (Heusel et al. 2017), FVD (Unterthiner et al. 2018).

    Tr (S_a S_b)^(1/2) is the nuclear norm of factor_a.T @ factor_b. Unlike the root of the product S_a S_b it keeps
    about 12 digits, of fewer features than dimensions too, and is never negative beyond rounding.

    >>> identity = torch.eye(2, dtype=torch.float64)
    >>> round(frechet_distance(from_moments(torch.zeros(2), identity), from_moments(torch.ones(2), 4 * identity)), 12)
    4.0
    """
    root = torch.linalg.svdvals(a.factor.T @ b.factor).sum()
    distance = (a.mean - b.mean).square().sum() + a.factor.square().sum() + b.factor.square().sum() - 2 * root
    return float(distance)


def jackknife_error(fake: Rows, real: Rows, ddof: int, groups: int) -> float | None:
    """Standard error by leaving out one group of clips at a time; the i-th clip is in group i modulo `groups`.

    A group leaves both sides at once: the sides are independent, so their variances add. All frames of a clip are in
    one group. None where a side would be left with fewer than two clips.
    """
    groups = min(groups, fake.clips, real.clips)
    if groups < 3:
        return None

    def without(rows: Rows, group: int) -> Gaussian:
        return fit(rows.values[rows.place % groups != group], ddof)

    distances = [frechet_distance(without(fake, group), without(real, group)) for group in range(groups)]
    left_out = torch.tensor(distances, dtype=torch.float64)
    return float(((groups - 1) * left_out.var(correction=0)).sqrt())


class FrechetDistance(DescribingMetric):
    """Frechet distance between the features of generated and real clips.

    The name says whose features: `frechet[random]`, over single frames `frechet_frame[random]`; `fvd` and the like are
    published weights with published settings, and ddof 1. The plug-in estimate is
    biased upwards by about c/N: compare at equal counts only. Both sides pass through float64 on the CPU.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        ddof: 1 divides covariances by N - 1 (TF-GAN, the published FVD and FID), 0 by N (StyleGAN-V, cd-fvd).
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
        jackknife_groups: of the standard error, which moves no number; 0 for none.
    """

    higher_is_better = False

    def __init__(
        self,
        extractor: Extractor,
        ddof: Literal[0, 1] = 1,
        frames_per_clip: int | None = None,
        jackknife_groups: int = 16,
    ) -> None:
        super().__init__(fake=extractor.num_features, real=extractor.num_features)
        plain = f"frechet{'_frame' if extractor.level == 'frame' else ''}[{extractor.name}]"
        self.name = (extractor.distance_name if ddof == 1 else None) or plain
        if ddof not in (0, 1):
            raise BenchError(f"{self.name}: ddof must be 0 or 1, found {ddof}")
        if frames_per_clip is not None and (extractor.level == "clip" or frames_per_clip < 1):
            raise BenchError(
                f"{self.name}: frames_per_clip = {frames_per_clip} must be at least 1 and goes with a frame-level "
                "extractor; the length of clips is set by the protocol"
            )
        if jackknife_groups < 0:
            raise BenchError(f"{self.name}: jackknife_groups must be at least 0, found {jackknife_groups}")
        self.extractor, self.ddof = extractor, ddof
        self.frames_per_clip, self.jackknife_groups = frames_per_clip, jackknife_groups

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        frames = "" if self.extractor.level == "clip" else f", frames per clip {self.frames_per_clip or 'all'}"
        return f"frechet, float64, ddof {self.ddof}{frames}; {self.extractor.fingerprint}"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses clips that are too short before anything is sampled."""
        self._check_length(protocol.scored_frames)

    def _check_length(self, frames: int) -> None:
        need = max(self.extractor.min_frames, self.frames_per_clip or 1)
        if frames < need:
            raise BenchError(
                f"{self.name} needs clips of at least {need} frames, found {frames}; raise protocol.frames"
            )

    def describe(self, clips: Tensor) -> Tensor:
        """B d, or B frames d."""
        self._check_length(clips.shape[2])
        if self.frames_per_clip is not None:
            at = torch.linspace(0, clips.shape[2] - 1, self.frames_per_clip).round().long()
            clips = clips[:, :, at.to(clips.device)]
        return self.extractor(clips)

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; no value from fewer than two clips of a kind, or features that are not finite."""
        fake, real = self.rows("fake"), self.rows("real")
        value = error = None
        if min(fake.clips, real.clips) < 2:
            note = f"needs at least 2 clips of each kind, got {fake.clips} generated and {real.clips} real"
        elif not (fake.values.isfinite().all() and real.values.isfinite().all()):
            note = f"{self.extractor.name} features hold NaN or infinity"
        else:
            value = frechet_distance(fit(fake.values, self.ddof), fit(real.values, self.ddof))
            error = jackknife_error(fake, real, self.ddof, self.jackknife_groups)
            count, dims = min(len(fake.values), len(real.values)), self.extractor.num_features
            # Below d features the covariance is singular and the estimate's bias larger than most differences.
            note = f"fewer than {dims} dims: {count} {self.extractor.level}s" if count < dims else ""
        return MetricResult(value, error, real.clips, fake.clips, self.fingerprint, note)
