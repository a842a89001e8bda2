from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import Rows
from metrics.feature_metric import FeatureMetric, few_for
from metrics.features.base import Extractor
from metrics.frechet import distance_name, fit, frechet_distance


def intercept(x: Tensor, y: Tensor) -> float:
    """Of the line of least squares through (x, y), float64.

    >>> intercept(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 5.0, 7.0]))
    1.0
    """
    x, y = x.double(), y.double()
    across = x - x.mean()
    slope = (across * (y - y.mean())).sum() / across.square().sum()
    return float(y.mean() - slope * x.mean())


class FrechetInfinity(FeatureMetric):
    """The Frechet distance extrapolated to infinitely many clips: `fvd_infinity`, `fid_infinity` and their kin.

    The plug-in estimate grows by c/N with fewer clips, and c differs between methods. Here it is measured for several
    counts from N/2 to N, both sides drawn without replacement, and the line in 1/N is followed to 0 (Chong and Forsyth,
    CVPR 2020, for FID). Below about as many clips as dimensions too little of the bias goes.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        ddof: see `FrechetDistance`.
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
        sizes: counts of clips, evenly spaced in 1/N.
        repeats: draws of each count but the last, which is all clips.
        jackknife_groups: of the standard error, which moves no number; 0 for none.
    """

    higher_is_better = False

    def __init__(
        self,
        extractor: Extractor,
        ddof: Literal[0, 1] = 1,
        frames_per_clip: int | None = None,
        sizes: int = 6,
        repeats: int = 3,
        jackknife_groups: int = 16,
    ) -> None:
        base, bracket, whose = distance_name(extractor, ddof).partition("[")
        super().__init__(f"{base}_infinity{bracket}{whose}", extractor, frames_per_clip)
        for argument, value, least in (
            ("sizes", sizes, 2),
            ("repeats", repeats, 1),
            ("jackknife_groups", jackknife_groups, 0),
        ):
            if value < least:
                raise BenchError(f"{self.name}: {argument} must be at least {least}, found {value}")
        if ddof not in (0, 1):
            raise BenchError(f"{self.name}: ddof must be 0 or 1, found {ddof}")
        self.ddof, self.sizes, self.repeats, self.jackknife_groups = ddof, sizes, repeats, jackknife_groups

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        how = f"extrapolated in 1/N over {self.sizes} sizes from N/2 to N, {self.repeats} draws each"
        return f"frechet, float64, ddof {self.ddof}, {how}; {self.features_fingerprint}"

    @property
    def fewest(self) -> int:
        """Half of the clips must be enough for a covariance."""
        return 8

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """See `FeatureMetric.between`."""
        value = self.extrapolated(fake, real)
        groups = min(self.jackknife_groups, fake.clips, real.clips)
        error = None
        if groups >= 3 and min(fake.clips, real.clips) // groups * (groups - 1) >= self.fewest:
            left_out = torch.tensor(
                [self.extrapolated(_without(fake, groups, g), _without(real, groups, g)) for g in range(groups)],
                dtype=torch.float64,
            )
            error = float(((groups - 1) * left_out.var(correction=0)).sqrt())
        return value, error, few_for(self.extractor.num_features, self.extractor.level, fake, real)

    def extrapolated(self, fake: Rows, real: Rows) -> float:
        """The distance at 1/N = 0; clips are drawn with all their frames."""
        most = min(fake.clips, real.clips)
        sizes = torch.linspace(2 / most, 1 / most, self.sizes, dtype=torch.float64).reciprocal().round().long()
        rng = torch.Generator().manual_seed(0)
        points = []
        for size in sizes.tolist():
            for _ in range(1 if size == most else self.repeats):
                parts = [_drawn(rows, size, rng) for rows in (fake, real)]
                points.append((1 / size, frechet_distance(fit(parts[0], self.ddof), fit(parts[1], self.ddof))))
        found = torch.tensor(points, dtype=torch.float64)
        return intercept(found[:, 0], found[:, 1])


def _drawn(rows: Rows, clips: int, rng: torch.Generator) -> Tensor:
    chosen = torch.zeros(rows.clips, dtype=torch.bool)
    chosen[torch.randperm(rows.clips, generator=rng)[:clips]] = True
    return rows.values[chosen[rows.place]]


def _without(rows: Rows, groups: int, group: int) -> Rows:
    kept = rows.place % groups != group
    _, place = rows.place[kept].unique(return_inverse=True)
    return Rows(rows.values[kept], place, int(place.max()) + 1)
