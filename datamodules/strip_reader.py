"""A video as one image: frames side by side, MoCoGAN's file format."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, features

from datamodules.bad_files import BadFile, DroppedFile
from datamodules.pictures import opened, require_8_bits

Resize = Literal["area", "bilinear", "bilinear_strip"]


class Layout(NamedTuple):
    """How a strip is cut."""

    frames: int
    height: int
    width: int
    horizontal: bool


class StripReader:
    """Cuts a strip into frames; satisfies `datamodules.cache.Reader`.

    The frame's side is the strip's short side, its length over the short side the number of frames, side by side or one
    below the other. Grey and palette images become RGB; alpha is cut off, not blended, as in the official loader, which
    keeps the first channels.

    Args:
        height, width: of the frames given.
        resize: `area` (box filter) and `bilinear` (its support grows with the scale, as Pillow does it) resize each
            frame by itself. `bilinear_strip` is the official rule: the whole strip is resized bilinearly, so pixels at
            a frame's border mix with the neighbouring frame. All agree where the size needs no change.
        frame_width: of frames side by side that are not square.
        min_frames: shorter videos are dropped.
    """

    def __init__(
        self, height: int, width: int, resize: Resize = "area", frame_width: int | None = None, min_frames: int = 1
    ) -> None:
        self.height, self.width, self.resize = height, width, resize
        self.frame_width, self.min_frames = frame_width, min_frames
        self.shape = (height, width, 3)
        self.policy: dict[str, Any] = {
            "reader": "strip",
            "height": height,
            "width": width,
            "channels": 3,
            "resize": resize,
            "frame_width": frame_width,
            "min_frames": min_frames,
            "pillow": Image.__version__,
            "libjpeg": features.version("libjpeg_turbo") or features.version("jpg"),
        }

    def count(self, path: Path) -> int:
        """Frames of the strip, from the image's header."""
        with opened(path) as image:
            return self._layout(image.size).frames

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W 3."""
        strip, layout = self._opened(path)
        count, height, width, horizontal = layout
        if (height, width) == (self.height, self.width):
            return _cut(strip, layout)
        if self.resize == "bilinear_strip":
            size = (count * self.width, self.height) if horizontal else (self.width, count * self.height)
            resized = strip.resize(size, Image.Resampling.BILINEAR)
            return _cut(resized, Layout(count, self.height, self.width, horizontal))
        kernel = Image.Resampling.BOX if self.resize == "area" else Image.Resampling.BILINEAR
        return _resized(_cut(strip, layout), self.height, self.width, kernel)

    def cut(self, path: Path) -> np.ndarray:
        """uint8 T H W 3 in the size that the strip has."""
        return _cut(*self._opened(path))

    def _opened(self, path: Path) -> tuple[Image.Image, Layout]:
        with opened(path) as image:
            layout = self._layout(image.size)
            require_8_bits(image)
            return image.convert("RGB"), layout

    def _layout(self, size: tuple[int, int]) -> Layout:
        width, height = size
        frame = self.frame_width or min(size)
        horizontal = self.frame_width is not None or width >= height
        count, rest = divmod(width if horizontal else height, frame)
        if rest or not count:
            hint = "" if self.frame_width else "; frames that are not square need data.init_args.frame_width"
            raise BadFile(f"{width}x{height} pixels are no whole number of frames of {frame} pixels{hint}")
        if count < self.min_frames:
            raise DroppedFile(f"{count} frames, fewer than min_frames={self.min_frames}")
        return Layout(count, height if horizontal else frame, frame, horizontal)


def _cut(strip: Image.Image, layout: Layout) -> np.ndarray:
    count, height, width, horizontal = layout
    pixels = np.asarray(strip)
    if horizontal:
        return pixels.reshape(height, count, width, 3).transpose(1, 0, 2, 3)  # T H W C
    return pixels.reshape(count, height, width, 3)


def _resized(frames: np.ndarray, height: int, width: int, kernel: Image.Resampling) -> np.ndarray:
    """Every frame of T H W C resized by itself, all at once: first along the width with frames one below the other,
    then along the height with frames side by side, the order in which Pillow resizes one image.
    """
    count, rows, columns, channels = frames.shape
    tall = Image.fromarray(np.ascontiguousarray(frames).reshape(count * rows, columns, channels))
    narrow = np.asarray(tall.resize((width, count * rows), kernel)).reshape(count, rows, width, channels)
    wide = Image.fromarray(narrow.transpose(1, 0, 2, 3).reshape(rows, count * width, channels))
    done = np.asarray(wide.resize((count * width, height), kernel)).reshape(height, count, width, channels)
    return done.transpose(1, 0, 2, 3)
