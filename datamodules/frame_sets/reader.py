"""Reads the frames of a set of many files each, and what is known of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from PIL import Image

from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import Part, picture_size, read_rgb
from datamodules.frame_sets.view import Box, View
from datamodules.reading.scaling import Fit, Scaler
from datamodules.tracks import Track


class Framing(Protocol):
    """Which part of a video's pictures is shown.

    Attributes:
        policy: JSON-able; everything that decides the box.
    """

    @property
    def policy(self) -> Any: ...  # noqa: D102

    def box(self, source: FrameSource, size: tuple[int, int]) -> Box:
        """The box in pictures of that height and width. Raises `BadFile`."""
        ...


class WholePicture:
    """All of it."""

    policy = "whole"

    def box(self, source: FrameSource, size: tuple[int, int]) -> Box:
        """See `Framing`."""
        return Box.whole(size)


class FrameReader:
    """Makes frames and tracks of a `FrameSource`.

    Args:
        height, width: of the frames given.
        parts: what is known of each frame beside its picture.
        fit: `squash`, `crop` or `pad`: how the part of the picture that is shown fills the frame.
        framing: which part that is.

    Attributes:
        shape: H, W, C of a frame.
        tracks: of each key, how one frame's value lies in a cache.
        policy: JSON-able; everything that decides frames and tracks.
    """

    def __init__(
        self, height: int, width: int, parts: Sequence[Part] = (), fit: Fit = "squash", framing: Framing | None = None
    ) -> None:
        self.shape = (height, width, 3)
        self.parts = {part.key: part for part in parts}
        self.fit, self.framing = fit, framing or WholePicture()
        self.tracks: Mapping[str, Track] = {key: part.track(height, width) for key, part in self.parts.items()}
        self.policy: Mapping[str, Any] = {
            "reader": "frames",
            "height": height,
            "width": width,
            "fit": fit,
            "framing": self.framing.policy,
            "parts": {key: part.policy for key, part in self.parts.items()},
            "resize": "swscale area, full chroma, bit exact; maps nearest",
            "av": av.__version__,
            "pillow": Image.__version__,
        }
        self._scaler: Scaler | None = None

    def read(self, source: FrameSource, start: int = 0, end: int | None = None) -> np.ndarray:
        """uint8 T H W 3 of the frames `start:end`. Raises `BadFile`, also for tracks."""
        return np.stack([self._picture(source, t) for t in self._range(source, start, end)])

    def read_tracks(
        self, source: FrameSource, start: int = 0, end: int | None = None, keys: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        """T ... of the frames `start:end`, in the layout of `datamodules.tracks.Track`; all tracks or some `keys`."""
        rows: dict[str, list[np.ndarray]] = {key: [] for key in (self.parts if keys is None else keys)}
        for t in self._range(source, start, end) if rows else ():
            view = self.view(source, t)
            for key, values in rows.items():
                values.append(self.parts[key].read(source, t, view))
        return {key: np.stack(values) for key, values in rows.items()}

    def view(self, source: FrameSource, frame: int, size: tuple[int, int] | None = None) -> View:
        """The frame's geometry. `size`: of its picture, where that is known."""
        size = size or picture_size(source.frames[frame]["picture"])
        if self._scaler is None:
            height, width, channels = self.shape
            self._scaler = Scaler(height, width, channels, self.fit, "drop", Fraction(1))
        return View(self._scaler, size, self.framing.box(source, size))

    def _picture(self, source: FrameSource, frame: int) -> np.ndarray:
        pixels = read_rgb(source.frames[frame]["picture"])
        return self.view(source, frame, (pixels.shape[0], pixels.shape[1])).picture(pixels)

    @staticmethod
    def _range(source: FrameSource, start: int, end: int | None) -> Iterable[int]:
        return range(*slice(start, end).indices(len(source)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scaler": None}  # swscale's state cannot go to another process
