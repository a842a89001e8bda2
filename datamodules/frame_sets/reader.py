"""Reads the frames of a set of many files each, and what is known of them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
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

    def frame(self, source: FrameSource, frame: int) -> dict[str, np.ndarray]:
        """`video` uint8 H W 3 of one frame, and its tracks laid as in `datamodules.tracks.Track`. Raises `BadFile`."""
        pixels = read_rgb(source.frames[frame]["picture"])
        view = self.view(source, pixels.shape[:2])
        return {"video": view.picture(pixels)} | {k: part.read(source, frame, view) for k, part in self.parts.items()}

    def picture(self, source: FrameSource, frame: int) -> np.ndarray:
        """uint8 H W 3 of one frame. Raises `BadFile`."""
        pixels = read_rgb(source.frames[frame]["picture"])
        return self.view(source, pixels.shape[:2]).picture(pixels)

    def view(self, source: FrameSource, size: tuple[int, ...]) -> View:
        """The geometry of the video's frames whose pictures have that height and width."""
        height, width, channels = self.shape
        if self._scaler is None:
            self._scaler = Scaler(height, width, channels, self.fit, "drop", Fraction(1))
        size = (size[0], size[1])
        return View(self._scaler, size, self.framing.box(source, size))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scaler": None}  # swscale's state cannot go to another process
