"""Reads the frames of a set of many files each, and what is known of them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from PIL import Image

from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import Part, read_rgb
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
        self._last: tuple[Path, tuple[int, int], np.ndarray] | None = None

    def frame(self, source: FrameSource, frame: int) -> dict[str, np.ndarray]:
        """`video` uint8 H W 3 of one frame, and its tracks laid as in `datamodules.tracks.Track`. Raises `BadFile`."""
        size, picture = self._read(source, frame)
        view = self.view(source, size)
        return {"video": picture} | {key: part.read(source, frame, view) for key, part in self.parts.items()}

    def picture(self, source: FrameSource, frame: int) -> np.ndarray:
        """uint8 H W 3 of one frame. Raises `BadFile`."""
        return self._read(source, frame)[1]

    def _read(self, source: FrameSource, frame: int) -> tuple[tuple[int, int], np.ndarray]:
        """Height and width of the picture, and what is shown of it. The one read last is kept: flow looks ahead."""
        path = source.frames[frame]["picture"]
        if self._last is None or self._last[0] != path:
            pixels = read_rgb(path)
            size = (pixels.shape[0], pixels.shape[1])
            self._last = path, size, self.view(source, size).picture(pixels)
        return self._last[1:]

    def view(self, source: FrameSource, size: tuple[int, int]) -> View:
        """The geometry of the video's frames whose pictures have that height and width."""
        height, width, channels = self.shape
        if self._scaler is None:
            self._scaler = Scaler(height, width, channels, self.fit, "drop", Fraction(1))
        return View(self._scaler, size, self.framing.box(source, size))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scaler": None, "_last": None}  # swscale's state cannot go to another process
