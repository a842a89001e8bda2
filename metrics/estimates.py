"""Means over clips and ratios of sums over clips, for metrics that not every clip can enter."""

import math

from torch import Tensor

from metrics.bank import mean_and_error
from metrics.informed import InformedMetric


class MeanOfClips(InformedMetric):
    """The mean over clips of a row's first number, which is NaN where the clip has none. Those are counted."""

    absent: str = "have no value"  # goes on after "3 of 8 clips"

    def estimate(self, rows: Tensor) -> tuple[float | None, float | None]:
        """Over the clips that have a number."""
        values = rows[:, 0]
        found = values[~values.isnan()]
        return mean_and_error(found) if len(found) else (None, None)

    def note(self, rows: Tensor) -> str:
        """Counts the clips that have none."""
        absent = int(rows[:, 0].isnan().sum())
        return f"{absent} of {len(rows)} clips {self.absent}" if absent else ""


class RatioOfSums(InformedMetric):
    """The sum over all clips of a row's first number over that of its second: one global ratio, as of joints."""

    def estimate(self, rows: Tensor) -> tuple[float | None, float | None]:
        """No value where the second numbers are all 0."""
        return ratio_and_error(rows[:, 0], rows[:, 1])


def ratio_and_error(above: Tensor, below: Tensor) -> tuple[float | None, float | None]:
    """Ratio of the sums of N numbers each, clips being independent, and its standard error to first order.

    The variance is that of the residuals above - ratio * below (Cochran 1977, Sampling Techniques, equation 6.13).

    >>> import torch
    >>> ratio_and_error(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0]))
    (1.0, 0.5)
    """
    above, below = above.double(), below.double()
    total = float(below.sum())
    if total == 0:
        return None, None
    ratio = float(above.sum()) / total
    count = len(above)
    if count < 2:
        return ratio, None
    residuals = above - ratio * below
    return ratio, math.sqrt(float(residuals.square().sum()) * count / (count - 1)) / total
