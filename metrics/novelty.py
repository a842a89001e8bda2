"""What a Frechet distance does not tell: whether clips are copied from the training set, and whether they all agree."""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import DescribingMetric, mean_and_error
from metrics.base import MetricResult
from metrics.features.base import full_precision

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

CANDIDATES = 8  # nearest training clips by the fast form, among which the nearest is sought


def thumbnails(clips: Tensor, grid: int, frames: int) -> Tensor:
    """uint8 B C T H W -> B D float32: `frames` evenly spaced RGB frames, averaged over a grid x grid raster.

    Scaled by 1 / sqrt(D), so that the L2 distance of two rows is the RMS difference in units of 0-255.
    """
    at = torch.linspace(0, clips.shape[2] - 1, frames).round().long()
    few = clips[:, :, at.to(clips.device)].expand(-1, 3, -1, -1, -1).float()  # B 3 F H W
    small = F.adaptive_avg_pool3d(few, (frames, grid, grid)).flatten(1)
    return small / math.sqrt(small.shape[1])


def nearest_distance(rows: Tensor, train: Tensor) -> Tensor:
    """L2 distance of each row (B x D) to the nearest of `train` (M x D): B.

    The matrix form of the distance is fast, and off by tenths of a level where clips are copies. It only picks
    candidates; their distances are then taken exactly, so that a copy has distance 0.
    """
    with full_precision(rows.device):
        rough = torch.cdist(rows, train, compute_mode="use_mm_for_euclid_dist")  # B M
    candidates = rough.topk(min(CANDIDATES, len(train)), largest=False).indices
    return (train[candidates] - rows[:, None]).norm(dim=2).amin(dim=1)


def mean_pairwise(rows: Tensor) -> tuple[float, float | None]:
    """Mean distance over all pairs of N >= 2 rows, and its standard error by leaving out one row at a time (N >= 3)."""
    count = len(rows)
    of_row = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").double().sum(dim=1)
    total = of_row.sum()
    error = None
    if count > 2:
        left_out = (total - 2 * of_row) / ((count - 1) * (count - 2))
        error = float(((count - 1) * left_out.var(correction=0)).sqrt())
    return float(total / (count * (count - 1))), error


class ThumbnailMetric(DescribingMetric):
    """Base of metrics on thumbnails.

    Args:
        width: numbers in a row.
        grid: pixels along each side of a thumbnail.
        frames: evenly spaced frames of a clip.
    """

    def __init__(self, width: int, grid: int, frames: int) -> None:
        super().__init__(fake=width, real=width)
        for key, value in (("grid", grid), ("frames", frames)):
            if value < 1:
                raise BenchError(f"{self.name}: {key} must be at least 1, found {value}")
        self.grid, self.frames = grid, frames

    @property
    def representation(self) -> str:
        """For the fingerprint."""
        return f"RMS 0-255 over {self.frames} frames of {self.grid}x{self.grid} RGB by average pooling"


class NearestTrainingClip(ThumbnailMetric):
    """Mean distance of generated clips to the nearest training clip; near 0 the method copies.

    Clips are compared as thumbnails (`thumbnails`), in RMS units of 0-255. Training clips are windows with the
    protocol's frames and stride, keyed by its seed; of a copy from between two windows only the nearer one is seen.
    Neither direction is better: the note holds the value of the real evaluation clips, and a method far below copies.

    Args:
        grid, frames: of the thumbnails.
        windows: clips taken of each training video, at random places.
        max_train: training clips at most.
    """

    higher_is_better = None
    name = "nearest_train"

    def __init__(self, grid: int = 16, frames: int = 4, windows: int = 4, max_train: int = 20_000) -> None:
        super().__init__(1, grid, frames)
        for key, value in (("windows", windows), ("max_train", max_train)):
            if value < 1:
                raise BenchError(f"{self.name}: {key} must be at least 1, found {value}")
        self.windows, self.max_train = windows, max_train
        self.train_rows: Tensor
        self.register_buffer("train_rows", torch.empty(0), persistent=False)
        self._prepared_for = ("", "")  # protocol and training split
        self._searched = ""

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        train = f"{len(self.train_rows)} training clips ({self.windows} a video), split {self._prepared_for[1]}"
        return f"nearest of {train}, {self.representation}"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Reads the training clips, once for a protocol and training set."""
        conditions = (protocol.hash, data.split_digest("train"))
        if conditions == self._prepared_for:
            return
        assert protocol.frames is not None and protocol.stride is not None  # resolved
        videos = len(data.store("train").lengths)
        count = min(self.max_train, self.windows * videos)
        if not count:
            raise BenchError(f"{self.name}: the training split of {data.name} holds no video")
        parts = []
        for start in range(0, count, 256):
            numbers = range(start, min(start + 256, count))
            batch = data.eval_batch("train", numbers, protocol.frames, protocol.stride, protocol.seed)
            parts.append(thumbnails(protocol.scored(batch["video"]), self.grid, self.frames))
        self.train_rows = torch.cat(parts).to(self.device)
        self._searched = f"searched {count} clips of {min(count, videos)} of {videos} training videos"
        self._prepared_for = conditions

    def describe(self, clips: Tensor) -> Tensor:
        """B 1."""
        if not len(self.train_rows):
            raise BenchError(f"{self.name}: prepare(data, protocol) has not been called: there is no training clip")
        rows = thumbnails(clips, self.grid, self.frames)
        return nearest_distance(rows, self.train_rows.to(clips.device))[:, None]

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`."""
        fake, real = self.rows("fake"), self.rows("real")
        if not fake.clips:
            return MetricResult(None, None, real.clips, 0, self.fingerprint, "no generated clips were seen")
        value, error = mean_and_error(fake.values[:, 0])
        note = self._searched + (f"; {_of_real(mean_and_error(real.values[:, 0]))}" if real.clips else "")
        return MetricResult(value, error, real.clips, fake.clips, self.fingerprint, note)


class Diversity(ThumbnailMetric):
    """Mean distance between two generated clips; near 0 the method always shows the same.

    Clips are compared as thumbnails (`thumbnails`), in RMS units of 0-255. Neither direction is better: the note holds
    the value of real clips, and the aim is to match it.

    Args:
        grid, frames: of the thumbnails.
    """

    higher_is_better = None
    name = "diversity"

    def __init__(self, grid: int = 16, frames: int = 4) -> None:
        super().__init__(3 * frames * grid**2, grid, frames)

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"mean pairwise {self.representation}"

    def describe(self, clips: Tensor) -> Tensor:
        """B D."""
        return thumbnails(clips, self.grid, self.frames)

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; no value from fewer than two generated clips."""
        fake, real = self.rows("fake"), self.rows("real")
        if fake.clips < 2:
            note = f"needs at least 2 generated clips, got {fake.clips}"
            return MetricResult(None, None, real.clips, fake.clips, self.fingerprint, note)
        value, error = mean_pairwise(fake.values)
        note = _of_real(mean_pairwise(real.values)) if real.clips > 1 else ""
        return MetricResult(value, error, real.clips, fake.clips, self.fingerprint, note)


def _of_real(value_and_error: tuple[float, float | None]) -> str:
    value, error = value_and_error
    return f"real clips: {value:.4g}" + ("" if error is None else f" +- {error:.2g}")
