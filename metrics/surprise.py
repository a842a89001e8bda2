"""A number of each frame, around the frames at which something happens and elsewhere."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.estimates import ratio_and_error


@dataclass(frozen=True)
class Mean:
    """Over frames, with the standard error for clips that are independent of each other; None from a single clip."""

    value: float | None
    standard_error: float | None
    frames: int


@dataclass(frozen=True)
class Surprise:
    """What `around_events` finds.

    Attributes:
        at, elsewhere: mean over the frames with and without an event.
        difference: of the two; its frames are those of both.
        offsets: frames from an event, negative ones before it.
        around: mean over the frames that lie so far from an event; events may overlap.
        clips, events: how many entered.
    """

    at: Mean
    elsewhere: Mean
    difference: Mean
    offsets: tuple[int, ...]
    around: tuple[Mean, ...]
    clips: int
    events: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def around_events(series: Tensor, events: Tensor, reach: int = 5) -> Surprise:
    """Means at events and elsewhere, and by the distance from an event, as SVG's figure 6 aligns its clips.

    Args:
        series: N T; NaN where a frame has no number, and it is then left out.
        events: N T, how many happen at a frame.
        reach: frames before and after an event to look at.

    Raises:
        BenchError: shapes that differ, infinite numbers, or frames of one kind only: there is nothing to compare.
    """
    if series.shape != events.shape or series.ndim != 2:
        raise BenchError(
            f"numbers of frames {tuple(series.shape)} and events {tuple(events.shape)} must both be clips x frames"
        )
    if series.isinf().any():
        raise BenchError(f"{int(series.isinf().sum())} of {series.numel()} frames have an infinite number")
    values, there = series.double().cpu(), ~series.isnan().cpu()
    happens = events.cpu() > 0
    at, elsewhere = happens & there, ~happens & there
    for name, chosen in (("with", at), ("without", elsewhere)):
        if not chosen.any():
            raise BenchError(
                f"of {int(there.sum())} frames that have a number none is {name} an event; take more or longer clips"
            )
    sums = [torch.where(chosen, values, 0.0).sum(dim=1) for chosen in (at, elsewhere)]  # N each
    counts = [chosen.sum(dim=1).double() for chosen in (at, elsewhere)]
    return Surprise(
        at=_mean(sums[0], counts[0]),
        elsewhere=_mean(sums[1], counts[1]),
        difference=_difference(sums, counts),
        offsets=tuple(range(-reach, reach + 1)),
        around=tuple(_at_offset(values, there, happens, offset) for offset in range(-reach, reach + 1)),
        clips=len(series),
        events=int(at.sum()),
    )


def _mean(sums: Tensor, counts: Tensor) -> Mean:
    value, error = ratio_and_error(sums, counts)
    return Mean(value, error, int(counts.sum()))


def _difference(sums: list[Tensor], counts: list[Tensor]) -> Mean:
    """To first order: frames of one clip enter both means, so that their errors do not just add."""
    clips = len(sums[0])
    means = [float(above.sum() / below.sum()) for above, below in zip(sums, counts, strict=True)]
    parts = [(s - m * c) / c.sum() for s, m, c in zip(sums, means, counts, strict=True)]  # N each
    error = None
    if clips > 1:
        error = math.sqrt(float((parts[0] - parts[1]).square().sum()) * clips / (clips - 1))
    return Mean(means[0] - means[1], error, int(sum(float(c.sum()) for c in counts)))


def _at_offset(values: Tensor, there: Tensor, happens: Tensor, offset: int) -> Mean:
    """Frames t + offset of all events at t."""
    frames = values.shape[1]
    if abs(offset) >= frames:
        return Mean(None, None, 0)
    first, last = max(0, -offset), frames - max(0, offset)
    chosen = happens[:, first:last] & there[:, first + offset : last + offset]
    moved = values[:, first + offset : last + offset]
    return _mean(torch.where(chosen, moved, 0.0).sum(dim=1), chosen.sum(dim=1).double())
