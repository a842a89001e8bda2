"""From a decoded frame to the pixels of the cache: upright, in the right colours, resized inside swscale."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from datamodules.bad_files import BadFile
from datamodules.reading.orientation import UPRIGHT, Turn, turn_of

Fit = Literal["squash", "crop", "pad"]
Alpha = Literal["black", "white", "drop"]

# AREA averages all pixels that a new one covers. The other flags cost little beside decoding and make the result equal
# on every processor and exact: without FULL_CHR_H_INT white comes out as 253, without FULL_CHR_H_INP every second
# column of an RGB picture has no colour of its own.
RESIZE = (
    Interpolation.AREA
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
UNTAGGED, HD_HEIGHT = 2, 720  # from this height on videos that do not say are BT.709; FFmpeg takes BT.601


class Place(NamedTuple):
    """Size that a frame is scaled to, and how far into it the wanted rows and columns begin (negative: are padded)."""

    height: int
    width: int
    top: int
    left: int


def place(height: int, width: int, source_height: int, source_width: int, aspect: Fraction, fit: Fit) -> Place:
    """How a picture is fitted into `height` x `width`.

    Args:
        height, width: wanted.
        source_height, source_width: upright, in pixels.
        aspect: a source pixel's width over its height, upright.
        fit: `squash` fills the frame and gives up the aspect; `crop` keeps it and cuts what juts out equally on both
            sides; `pad` keeps it and leaves black borders.
    """
    if fit == "squash":
        return Place(height, width, 0, 0)
    shown = source_width * aspect
    choose: Callable[..., Fraction] = max if fit == "crop" else min
    scale = choose(Fraction(height, source_height), Fraction(width) / shown)
    rows, columns = max(round(source_height * scale), 1), max(round(shown * scale), 1)
    return Place(rows, columns, (rows - height) // 2, (columns - width) // 2)


class Scaler:
    """Makes uint8 H W C of one video's frames. Its reformatter is shared by all of them: setting one up costs more than
    scaling a small frame.

    Args:
        height, width: of the result.
        channels: 1 (luma) or 3 (RGB).
        fit: see `place`.
        alpha: what transparent pixels are laid on; `drop` shows the colour they hide.
        aspect: of the stored pixels.

    Attributes:
        source: height and width of the pictures, upright; None before the first.
    """

    def __init__(self, height: int, width: int, channels: int, fit: Fit, alpha: Alpha, aspect: Fraction) -> None:
        self.height, self.width, self.channels = height, width, channels
        self.fit, self.alpha, self.aspect = fit, alpha, aspect
        self.turn: Turn | None = None
        self.source: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()
        self._format = "gray" if channels == 1 else "rgb24"

    def __call__(self, frame: Any) -> np.ndarray:
        """Uint8 H W C. Raises `BadFile` for pixels that swscale cannot convert."""
        if self.turn is None:
            self.turn = turn_of(frame) or UPRIGHT
        if self.alpha != "drop" and any(part.is_alpha for part in frame.format.components):
            frame = _laid_on(frame, 0 if self.alpha == "black" else 255)
        sideways = self.turn.transpose
        height, width = (frame.width, frame.height) if sideways else (frame.height, frame.width)
        self.source = height, width
        aspect = 1 / self.aspect if sideways else self.aspect
        at = place(self.height, self.width, height, width, aspect, self.fit)
        rows, columns = (at.width, at.height) if sideways else (at.height, at.width)
        scaled = self._scaled(frame, columns, rows).reshape(rows, columns, self.channels)
        return self._cut(self.turn(scaled), at)

    def _scaled(self, frame: Any, width: int, height: int) -> np.ndarray:
        try:
            return self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format=self._format,
                src_colorspace=_matrix(frame),
                interpolation=RESIZE,
                threads=1,
            ).to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise BadFile(
                f"pixels {frame.format.name} in colour space {int(frame.colorspace)} (ITU-T H.273) cannot be "
                f"converted: {getattr(error, 'strerror', error)}"
            ) from error

    def _cut(self, picture: np.ndarray, at: Place) -> np.ndarray:
        if (at.height, at.width) == (self.height, self.width):
            return picture
        out = np.zeros((self.height, self.width, self.channels), dtype=np.uint8)
        inside = picture[max(at.top, 0) :, max(at.left, 0) :][: self.height, : self.width]
        top, left = max(-at.top, 0), max(-at.left, 0)
        out[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return out


def _matrix(frame: Any) -> Colorspace | None:
    """BT.709 for untagged video of HD height; else what the frame says."""
    untagged = frame.colorspace == UNTAGGED and not frame.format.is_rgb
    return Colorspace.ITU709 if untagged and frame.height >= HD_HEIGHT else None


def _laid_on(frame: Any, level: int) -> Any:
    """The frame without transparency, in full size: scaled first, hidden colours would bleed into what is seen."""
    rgba = frame.to_ndarray(format="rgba").astype(np.uint16)
    alpha = rgba[..., 3:]
    mixed = (rgba[..., :3] * alpha + level * (255 - alpha) + 127) // 255
    return av.VideoFrame.from_ndarray(mixed.astype(np.uint8), format="rgb24")
