"""One geometry for all that belongs to a frame: the picture, maps of labels, and points."""

from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from datamodules.bad_files import BadFile
from datamodules.reading.scaling import Scaler, place


class Box(NamedTuple):
    """A part of a picture in whole pixels, the far ends exclusive. It may stick out of the picture."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, size: tuple[int, int]) -> "Box":
        """All of a picture of that height and width."""
        return cls(0, size[0], 0, size[1])


class View:
    """How a source picture becomes a frame: a box is cut out and scaled into the frame.

    Pixels are squares with their centres at whole numbers, so pixel x of the box stands at (x + 1/2) scale - 1/2.

    Args:
        scaler: makes pictures; its size and fit hold for maps and points as well.
        size: height and width of the source.
        box: the part of the source that is shown.
    """

    def __init__(self, scaler: Scaler, size: tuple[int, int], box: Box) -> None:
        self.scaler, self.size, self.box = scaler, size, box
        self.height, self.width = scaler.height, scaler.width
        self.rows, self.columns = box.bottom - box.top, box.right - box.left
        self.place = place(self.height, self.width, self.rows, self.columns, Fraction(1), scaler.fit)

    def picture(self, pixels: np.ndarray, what: str = "picture") -> np.ndarray:
        """uint8 h w 3 of the source -> uint8 H W 3, each new pixel the mean of what it covers; black outside."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(self._cut(pixels, what)), format="rgb24")
        return self.scaler(frame)

    def nearest(self, values: np.ndarray, what: str) -> np.ndarray:
        """H w ... of the source -> H W ... of the same type without new values; 0 outside.

        Args:
            what: names the map in the error about a size that is not the picture's.
        """
        cut = self._cut(values, what)
        y = _places(self.rows, self.place.height, self.place.top, self.height)
        x = _places(self.columns, self.place.width, self.place.left, self.width)
        out = cut[np.clip(y, 0, self.rows - 1)[:, None], np.clip(x, 0, self.columns - 1)]
        out[(y < 0) | (y >= self.rows)] = 0
        out[:, (x < 0) | (x >= self.columns)] = 0
        return out

    def points(self, joints: np.ndarray, size: tuple[int, int] | None = None, outside: bool = False) -> np.ndarray:
        """Joints ... 3 in the source's pixels -> float32 in the frame's.

        Args:
            size: height and width of the picture in which the joints are given, where that is not the source.
            outside: whether joints outside the frame are kept, as drawing needs it; else they are missing (all zero).
        """
        height, width = size or self.size
        x = (joints[..., 0] + 0.5) * (self.size[1] / width)
        y = (joints[..., 1] + 0.5) * (self.size[0] / height)
        x = (x - self.box.left) * (self.place.width / self.columns) - 0.5 - self.place.left
        y = (y - self.box.top) * (self.place.height / self.rows) - 0.5 - self.place.top
        inside = (x >= -0.5) & (x < self.width - 0.5) & (y >= -0.5) & (y < self.height - 0.5)
        seen = (joints[..., 2] > 0) & (inside | outside)
        return np.where(seen[..., None], np.stack([x, y, joints[..., 2]], -1), 0).astype(np.float32)

    def edges(self, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A box y0, y1, x0, x1 in a picture of `size` -> float32 in the frame, cut at its border; 0 where nothing is
        left.
        """
        scale = (self.size[0] / size[0], self.size[1] / size[1])
        y = (box[:2] * scale[0] - self.box.top) * (self.place.height / self.rows) - self.place.top
        x = (box[2:] * scale[1] - self.box.left) * (self.place.width / self.columns) - self.place.left
        y, x = np.clip(y, 0, self.height), np.clip(x, 0, self.width)
        empty = y[1] <= y[0] or x[1] <= x[0]
        return np.zeros(4, np.float32) if empty else np.concatenate([y, x]).astype(np.float32)

    def _cut(self, values: np.ndarray, what: str) -> np.ndarray:
        if values.shape[:2] != self.size:
            (rows, columns), (height, width) = values.shape[:2], self.size
            raise BadFile(f"{what} has {columns}x{rows} pixels, but its frame has {width}x{height}")
        box, (height, width) = self.box, self.size
        top, left = max(box.top, 0), max(box.left, 0)
        inside = values[top : max(box.bottom, 0), left : max(box.right, 0)]
        if inside.shape[:2] == (self.rows, self.columns):
            return inside
        out = np.zeros((self.rows, self.columns, *values.shape[2:]), values.dtype)
        out[top - box.top :, left - box.left :][: inside.shape[0], : inside.shape[1]] = inside
        return out


def _places(source: int, scaled: int, first: int, count: int) -> np.ndarray:
    """Which of `source` pixels the pixels `first` to `first + count` of `scaled` ones lie in; others are outside."""
    at = np.arange(first, first + count)
    return (2 * at + 1) * source // (2 * scaled)
