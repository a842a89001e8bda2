from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import DescribingMetric, mean_and_error
from metrics.base import MetricResult

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
IN_PLANE[1] = True  # eight neighbours within a frame, none across frames


def components(lit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connected components of each frame.

    Args:
        lit: bool N H W.

    Returns:
        Each N: lit pixels; pixels of the largest component; and the lit pixels' centre N 2 (y, x; NaN where none).
    """
    frames, height, width = lit.shape
    labels, found = ndimage.label(lit, IN_PLANE)
    area = lit.sum((1, 2))
    largest = np.zeros(frames, dtype=np.int64)
    if found:
        numbers, first = np.unique(labels, return_index=True)
        seen = numbers > 0
        np.maximum.at(largest, first[seen] // (height * width), np.bincount(labels.ravel())[numbers[seen]])
    with np.errstate(invalid="ignore"):
        y = (lit.sum(2) * np.arange(height)).sum(1) / area
        x = (lit.sum(1) * np.arange(width)).sum(1) / area
    return area, largest, np.stack([y, x], axis=1)


class CleanShapes(DescribingMetric):
    """Share of frames that show shape motion as it should be: one object of plausible size that moves steadily.

    A frame is clean if its lit pixels (largest channel above `threshold`) form one connected component, up to 5 % of
    them; their number lies within the training clips' range, 20 % wider; the object is no further from its place in
    the frames before and after than any training object, plus a pixel; and its clip travels at least half as far
    between first and last frame as the slowest training clip.

    Args:
        threshold: 0-254, exclusive.
        max_train: training clips that the ranges are read from.
    """

    higher_is_better = True
    uses_real = False
    name = "clean_shapes"

    def __init__(self, threshold: int = 32, max_train: int = 512) -> None:
        super().__init__(fake=1)
        if not 0 <= threshold <= 254:
            raise BenchError(f"clean_shapes: threshold must lie in 0..254, found {threshold}")
        self.threshold, self.max_train = threshold, max_train
        self.area: tuple[float, float] | None = None
        self.step = self.travel = 0.0

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"clean shapes, lit > {self.threshold}, ranges of the first {self.max_train} training clips"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Reads sizes and speeds off the training clips."""
        assert protocol.frames is not None and protocol.stride is not None
        count = min(self.max_train, len(data.store("train").lengths))
        clips = data.eval_batch("train", range(count), protocol.frames, protocol.stride, protocol.seed)["video"]
        area, _, centre = self._frames(clips)
        shown = area.min(1) > 0  # a nearly black object is lost to the threshold
        if not shown.any():
            raise BenchError(f"clean_shapes: no training clip of {data.name} shows an object above {self.threshold}")
        area, centre = area[shown], centre[shown]
        self.area = float(area.min()) * 0.8, float(area.max()) * 1.2
        self.step = float(np.linalg.norm(np.diff(centre, axis=1), axis=2).max()) + 1
        self.travel = float(np.linalg.norm(centre[:, -1] - centre[:, 0], axis=1).min()) / 2

    def _frames(self, clips: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Area B T, largest component B T, centre B T 2 of uint8 clips B C T H W."""
        lit = (clips.amax(dim=1) > self.threshold).cpu().numpy()  # B T H W
        b, t = lit.shape[:2]
        area, largest, centre = components(lit.reshape(b * t, *lit.shape[2:]))
        return area.reshape(b, t), largest.reshape(b, t), centre.reshape(b, t, 2)

    def describe(self, clips: Tensor) -> Tensor:
        """B 1: share of clean frames of each clip."""
        if self.area is None:
            raise BenchError("clean_shapes: prepare(data, protocol) comes before update")
        area, largest, centre = self._frames(clips)
        one = (area > 0) & (largest >= 0.95 * area) & (area >= self.area[0]) & (area <= self.area[1])
        # A frame without an object has no centre: steps to and from it are not steady.
        steady = np.linalg.norm(np.diff(centre, axis=1), axis=2) <= self.step  # B T-1
        ends = np.ones((len(area), 1), dtype=bool)
        one &= np.concatenate([ends, steady], axis=1) & np.concatenate([steady, ends], axis=1)
        moves = np.linalg.norm(centre[:, -1] - centre[:, 0], axis=1) >= self.travel
        return torch.from_numpy((one & moves[:, None]).mean(1, keepdims=True)).float()

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; the error is over clips."""
        fake = self.rows("fake")
        value, error = mean_and_error(fake.values[:, 0].double())
        return MetricResult(value, error, 0, fake.clips, self.fingerprint)
