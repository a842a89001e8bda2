"""Frechet distance between feature distributions: FVD, FID and their kin, by the extractor."""

import math
from typing import Literal, NamedTuple

import torch
from scipy.linalg import svdvals
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import Rows
from metrics.feature_metric import FeatureMetric, few_for, jackknife
from metrics.features.base import Extractor


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
    # SciPy's LAPACK takes a fifth less time than torch's on the CPU, with the same digits.
    root = float(svdvals((a.factor.T @ b.factor).cpu().numpy()).sum())
    distance = (a.mean - b.mean).square().sum() + a.factor.square().sum() + b.factor.square().sum() - 2 * root
    return float(distance)


def jackknife_error(fake: Rows, real: Rows, ddof: int, groups: int) -> float | None:
    """See `jackknife`."""

    def without(groups: int, group: int) -> float:
        kept = [rows.values[rows.place % groups != group] for rows in (fake, real)]
        return frechet_distance(fit(kept[0], ddof), fit(kept[1], ddof))

    return jackknife(fake, real, groups, without)


class FrechetDistance(FeatureMetric):
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
        super().__init__(distance_name(extractor, ddof), extractor, frames_per_clip)
        if ddof not in (0, 1):
            raise BenchError(f"{self.name}: ddof must be 0 or 1, found {ddof}")
        if jackknife_groups < 0:
            raise BenchError(f"{self.name}: jackknife_groups must be at least 0, found {jackknife_groups}")
        self.ddof, self.jackknife_groups = ddof, jackknife_groups

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        frames = "" if self.extractor.level == "clip" else f", frames per clip {self.frames_per_clip or 'all'}"
        return f"frechet, float64, ddof {self.ddof}{frames}; {self.extractor.fingerprint}"

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """See `FeatureMetric.between`."""
        value = frechet_distance(fit(fake.values, self.ddof), fit(real.values, self.ddof))
        error = jackknife_error(fake, real, self.ddof, self.jackknife_groups)
        return value, error, few_for(self.extractor.num_features, self.extractor.level, fake, real)


def distance_name(extractor: Extractor, ddof: int) -> str:
    """`fvd`, `fid`, or `frechet[NAME]`, `frechet_frame[NAME]` where weights or settings are not the published ones."""
    plain = f"frechet{'_frame' if extractor.level == 'frame' else ''}[{extractor.name}]"
    return (extractor.distance_name if ddof == 1 else None) or plain
