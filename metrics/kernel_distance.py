"""Maximum mean discrepancy between feature distributions: KVD, KID and their kin, by the extractor."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import Rows
from metrics.feature_metric import FeatureMetric, jackknife
from metrics.features.base import Extractor

Kernel = Literal["poly3", "jedi"]
Estimator = Literal["unbiased", "biased"]


class Polynomial(NamedTuple):
    """(x.y / d + offset) ** degree, the mean discrepancy times `scale`."""

    degree: int
    offset: float
    scale: float

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """N d, M d -> N M."""
        values: Tensor = (a @ b.T / a.shape[1] + self.offset) ** self.degree
        return values


KERNELS: Mapping[Kernel, Polynomial] = MappingProxyType(
    {
        "poly3": Polynomial(3, 1.0, 1.0),  # Binkowski et al. 2018; sklearn's polynomial_kernel
        "jedi": Polynomial(2, 0.0, 100.0),  # JEDi's, on V-JEPA features
    }
)
PUBLISHED = {"fvd": "kvd", "fid": "kid"}  # by what the same features' Frechet distance is called


class Sums(NamedTuple):
    """Sums of kernel values between groups of rows.

    Attributes:
        xx, yy, xy: G x G.
        x, y: sums of k(x, x), G.
        n, m: rows in a group, G.
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    x: Tensor
    y: Tensor
    n: Tensor
    m: Tensor

    def without(self, group: int) -> "Sums":
        """The sums over all other groups."""
        kept = torch.arange(len(self.n)) != group
        return Sums(*(s[kept][:, kept] if s.ndim == 2 else s[kept] for s in self))

    def discrepancy(self, estimator: Estimator) -> float:
        """MMD^2 (Gretton et al. 2012): equation 3, or 5 for `biased`."""
        n, m = float(self.n.sum()), float(self.m.sum())
        between = 2 * self.xy.sum() / (n * m)
        if estimator == "biased":
            return float(self.xx.sum() / n**2 + self.yy.sum() / m**2 - between)
        within = (self.xx.sum() - self.x.sum()) / (n * (n - 1)) + (self.yy.sum() - self.y.sum()) / (m * (m - 1))
        return float(within - between)


def kernel_sums(kernel: Polynomial, x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, groups: int) -> Sums:
    """Block by block, so that memory does not grow with the square of the rows.

    Args:
        x, y: N d and M d.
        of_x, of_y: group of each row, 0 to groups - 1.
    """
    xs, ys = ([rows.double()[of == g] for g in range(groups)] for rows, of in ((x, of_x), (y, of_y)))

    def table(first: list[Tensor], second: list[Tensor]) -> Tensor:
        return torch.stack([torch.stack([_total(kernel, a, b) for b in second]) for a in first])

    def diagonal(parts: list[Tensor]) -> Tensor:
        return torch.stack([_own(kernel, part) for part in parts])

    counts = [torch.tensor([len(part) for part in parts], dtype=torch.float64) for parts in (xs, ys)]
    return Sums(table(xs, xs), table(ys, ys), table(xs, ys), diagonal(xs), diagonal(ys), *counts)


def _total(kernel: Polynomial, a: Tensor, b: Tensor, at_once: int = 1024) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for part in a.split(at_once):
        for other in b.split(at_once):
            total = total + kernel(part, other).sum()
    return total


def _own(kernel: Polynomial, rows: Tensor, at_once: int = 256) -> Tensor:
    parts = [kernel(part, part).diagonal().sum() for part in rows.split(at_once) if len(part)]
    return torch.stack(parts).sum() if parts else torch.zeros((), dtype=torch.float64)


class KernelDistance(FeatureMetric):
    """Squared maximum mean discrepancy between the features of generated and real clips.

    `kvd` and `kid` are the published features and the cubic kernel without bias (Unterthiner et al. 2018; Binkowski et
    al. 2018); else `kernel[NAME]`, over frames `kernel_frame[NAME]`. The unbiased estimate does not depend on the
    counts, can be below 0, and is not 0 between equal sets. JEDi (Luo et al. 2024) is `kernel: jedi` with `estimator:
    biased` over V-JEPA features, which have to be given as an extractor.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        kernel: `poly3`, (x.y/d + 1)^3; `jedi`, 100 (x.y/d)^2.
        estimator: `unbiased` leaves out pairs of a row with itself; `biased` does not (the V-statistic).
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
        subsets: mean over so many pairs of random subsets, as KID is published (100); 0 takes all rows at once.
        subset_size: rows of a subset (KID: 1000).
        jackknife_groups: of the standard error, which moves no number; 0 for none.
    """

    higher_is_better = False

    def __init__(
        self,
        extractor: Extractor,
        kernel: Kernel = "poly3",
        estimator: Estimator = "unbiased",
        frames_per_clip: int | None = None,
        subsets: int = 0,
        subset_size: int = 1000,
        jackknife_groups: int = 16,
    ) -> None:
        plain = f"kernel{'_frame' if extractor.level == 'frame' else ''}[{extractor.name}]"
        published = (
            PUBLISHED.get(extractor.distance_name or "") if (kernel, estimator) == ("poly3", "unbiased") else None
        )
        super().__init__(published or plain, extractor, frames_per_clip)
        for argument, value, known in (
            ("kernel", kernel, get_args(Kernel)),
            ("estimator", estimator, get_args(Estimator)),
        ):
            if value not in known:
                raise BenchError(f"{self.name}: {argument} must be {' or '.join(known)}, found {value!r}")
        for argument, count, least in (
            ("subsets", subsets, 0),
            ("subset_size", subset_size, 2),
            ("jackknife_groups", jackknife_groups, 0),
        ):
            if count < least:
                raise BenchError(f"{self.name}: {argument} must be at least {least}, found {count}")
        self.kernel, self.estimator = kernel, estimator
        self.subsets, self.subset_size, self.jackknife_groups = subsets, subset_size, jackknife_groups

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        rule = KERNELS[self.kernel]
        rows = f"mean of {self.subsets} random subsets of {self.subset_size}" if self.subsets else "all rows"
        scale = f"{rule.scale:g} " if rule.scale != 1 else ""
        formula = f"{scale}mmd^2, (x.y/d + {rule.offset:g})^{rule.degree}, {self.estimator}, {rows}, float64"
        return f"{formula}; {self.features_fingerprint}"

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """See `FeatureMetric.between`."""
        rule = KERNELS[self.kernel]
        groups = max(1, min(self.jackknife_groups, fake.clips, real.clips))
        sums = kernel_sums(rule, fake.values, real.values, fake.place % groups, real.place % groups, groups)
        error = jackknife(
            fake, real, self.jackknife_groups, lambda _, group: sums.without(group).discrepancy(self.estimator)
        )
        value = self._of_subsets(fake.values, real.values) if self.subsets else sums.discrepancy(self.estimator)
        return value * rule.scale, None if error is None else error * rule.scale, self._note(fake, real)

    def _of_subsets(self, x: Tensor, y: Tensor) -> float:
        rng = torch.Generator().manual_seed(0)
        size = min(self.subset_size, len(x), len(y))
        one = torch.zeros(size, dtype=torch.int64)
        found = []
        for _ in range(self.subsets):
            a, b = (rows[torch.randperm(len(rows), generator=rng)[:size]] for rows in (x, y))
            sums = kernel_sums(KERNELS[self.kernel], a, b, one, one, 1)
            found.append(sums.discrepancy(self.estimator))
        return sum(found) / len(found)

    def _note(self, fake: Rows, real: Rows) -> str:
        least = min(len(fake.values), len(real.values))
        return (
            f"subsets of {least} rows: there are no {self.subset_size}"
            if self.subsets and least < self.subset_size
            else ""
        )
