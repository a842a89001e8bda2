"""Numbers per clip as the only state: right under uneven ranks, any batch size, and clips seen twice."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.base import MetricResult, VideoMetric, check_clips

LARGEST_INDEX = 2**24  # float32 holds whole numbers exactly up to here


class Rows(NamedTuple):
    """What a metric kept, each clip once, in the order of the clips' numbers.

    Attributes:
        values: N x width float32, on the CPU.
        place: N int64, the place of a row's clip among all clips.
        clips: how many clips there are; below N where a clip has several rows.
    """

    values: Tensor
    place: Tensor
    clips: int


class ClipMetric(VideoMetric):
    """Base of metrics that keep rows of numbers for each clip and reduce them at the end.

    A state is a 1-D float32 list of rows `(clip, part, values...)`. It is 1-D because torchmetrics stands in for a rank
    without clips by an empty 1-D float32 tensor, and ranks can only gather tensors of one dtype and one ndim.

    Args:
        widths: numbers in a row, by kind of row.
    """

    def __init__(self, **widths: int) -> None:
        super().__init__()
        self._widths = widths
        self._shape: tuple[int, ...] | None = None
        for kind in widths:
            self.add_state(f"{kind}_rows", [], dist_reduce_fx="cat")

    def reset(self) -> None:
        """Forgets all clips."""
        super().reset()
        self._shape = None

    def put(self, kind: str, index: Tensor, values: Tensor, first: int = 0) -> None:
        """Keeps `values` (B width, or B parts width) of clips `index` (B); `first` numbers the first part.

        Raises:
            BenchError: clip numbers that float32 cannot tell apart.
        """
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < LARGEST_INDEX:
            raise BenchError(
                f"{self.name}: clip numbers must lie in 0..{LARGEST_INDEX - 1}, found {index.min()}..{index.max()}"
            )
        values = values.unsqueeze(1) if values.ndim == 2 else values  # B parts width
        clips, parts, _ = values.shape
        of_clip = index.to(values.device, torch.float32)[:, None, None].expand(-1, parts, 1)
        numbers = torch.arange(first, first + parts, dtype=torch.float32, device=values.device)
        of_part = numbers[None, :, None].expand(clips, -1, 1)
        getattr(self, f"{kind}_rows").append(torch.cat([of_clip, of_part, values.float()], dim=2).flatten())

    def table(self, kind: str) -> Tensor:
        """All rows of a kind with their numbers of clip and part before them, sorted; of clips seen twice one copy.

        Raises:
            BenchError: the state is no longer float32, in which clip numbers get lost.
        """
        state = getattr(self, f"{kind}_rows")
        flat = dim_zero_cat(state) if len(state) else torch.empty(0)
        if flat.dtype != torch.float32:
            raise BenchError(
                f"{self.name}: the state was cast to {flat.dtype}; move metrics by device only, not by dtype"
            )
        table = flat.cpu().reshape(-1, 2 + self._widths[kind])
        key = table[:, 0].long() * LARGEST_INDEX + table[:, 1].long()
        key, order = key.sort(stable=True)
        first = torch.ones_like(key, dtype=torch.bool)
        first[1:] = key[1:] != key[:-1]
        return table[order[first]]

    def rows(self, kind: str) -> Rows:
        """See `table`."""
        kept = self.table(kind)
        clips, place = kept[:, 0].unique(return_inverse=True)
        return Rows(kept[:, 2:], place, len(clips))

    def measure(self) -> MetricResult:
        """The result from this process's rows; `result` calls it with those of all ranks."""
        raise NotImplementedError(f"{type(self).__name__}.measure")

    def result(self) -> MetricResult:
        """See `VideoMetric.result`."""
        with self.sync_context():
            return self.measure()

    def compute(self) -> Tensor:
        """The value alone, float64.

        Raises:
            BenchError: there is none; the message is the result's note.
        """
        result = self.measure()  # torchmetrics has gathered the states around this call
        if result.value is None:
            raise BenchError(f"{self.name}: {result.note}")
        return torch.tensor(result.value, dtype=torch.float64)

    def _checked(self, kind: str, clips: Tensor, batch: VideoBatch | None) -> Tensor:
        """The clips' numbers, once the clips are what the metric takes."""
        check_clips(self.name, kind, clips)
        shape = tuple(clips.shape[1:])
        if len(clips) and self._shape is None:
            self._shape = shape
        if len(clips) and shape != self._shape:
            raise BenchError(f"{self.name}: {kind} clips are {shape} (C T H W), the clips before were {self._shape}")
        index = torch.arange(0) if batch is None else batch["index"]
        if len(index) != len(clips):
            raise BenchError(f"{self.name}: {len(clips)} {kind} clips came with {len(index)} numbers in batch['index']")
        return index


class DescribingMetric(ClipMetric):
    """Describes each clip by itself. Kinds are `fake` and, where the metric uses them, `real`."""

    def describe(self, clips: Tensor) -> Tensor:
        """uint8 B C T H W -> B width, or B parts width."""
        raise NotImplementedError(f"{type(self).__name__}.describe")

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `VideoMetric.update`; either may be None."""
        for kind, clips in (("fake", fake), ("real", real)):
            if clips is None or kind not in self._widths:
                continue
            index = self._checked(kind, clips, batch)
            if len(clips):
                self.put(kind, index, self.describe(clips))


class PairedMetric(ClipMetric):
    """Compares fake clip i with real clip i; the value is the mean over clips of the first number in a row.

    Args:
        width: numbers in a row.
    """

    paired = True

    def __init__(self, width: int = 1) -> None:
        super().__init__(pairs=width)

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """uint8 B C T H W twice -> B width."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def note(self, values: Tensor) -> str:
        """A caveat on the value, from all rows (N x width)."""
        return ""

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`."""
        values, _, clips = self.rows("pairs")
        if not clips:
            return MetricResult(None, None, 0, 0, self.fingerprint, "no clips were compared")
        value, error = mean_and_error(values[:, 0])
        return MetricResult(value, error, clips, clips, self.fingerprint, self.note(values))

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `VideoMetric.update`.

        Raises:
            BenchError: one of the two is missing, or their shapes differ.
        """
        index, fake, real = self._pair(fake, real, batch)
        if len(fake):
            self.put("pairs", index, self.compare(fake, real))

    def _pair(
        self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The clips' numbers and the clips, once they are what the metric takes."""
        if fake is None or real is None:
            missing = "fake" if fake is None else "real"
            raise BenchError(f"{self.name} compares each generated clip with its real one, but `{missing}` is None")
        if fake.shape != real.shape:
            raise BenchError(f"{self.name}: fake {tuple(fake.shape)} and real {tuple(real.shape)} must be one shape")
        index = self._checked("fake", fake, batch)
        self._checked("real", real, batch)
        return index, fake, real


def mean_and_error(values: Tensor) -> tuple[float, float | None]:
    """Mean of N independent numbers and its standard error (None for one number), in float64.

    >>> mean_and_error(torch.tensor([1.0, 3.0]))
    (2.0, 1.0)
    """
    values = values.double()
    error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
