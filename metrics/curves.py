"""Means over clips, for each frame apart: what prediction papers plot."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Curve:
    """A metric for each scored frame.

    Attributes:
        frame: place in the clip, counted from 0 with the context frames.
        mean: over clips.
        standard_error: of `mean`; None from a single clip.
        count: clips behind each mean.
    """

    frame: tuple[int, ...]
    mean: tuple[float, ...]
    standard_error: tuple[float, ...] | None
    count: int

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        error = None if self.standard_error is None else list(self.standard_error)
        return {"frame": list(self.frame), "mean": list(self.mean), "standard_error": error, "count": self.count}


def over_clips(values: Tensor) -> tuple[Tensor, Tensor | None]:
    """Mean over the first of N ... and its standard error (None where N is 1), in float64."""
    values = values.double()
    error = values.std(dim=0) / math.sqrt(len(values)) if len(values) > 1 else None
    return values.mean(dim=0), error


def curve_of(mean: Tensor, error: Tensor | None, count: int, first: int) -> Curve | None:
    """The curve of T means; None where one of them is no number.

    Args:
        first: number of the first scored frame.
    """
    if not torch.isfinite(mean).all():
        return None
    frames = tuple(range(first, first + len(mean)))
    return Curve(frames, tuple(mean.tolist()), None if error is None else tuple(error.tolist()), count)
