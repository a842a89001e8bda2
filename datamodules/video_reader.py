"""Frames of one size from any kind of video, in pieces: a long video never lies in memory as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.reading.footage import Footage, Picture
from datamodules.reading.open import open_video
from datamodules.reading.resample import resampled
from datamodules.reading.scaling import Alpha, Fit, Scaler

PIECE = 32  # frames given at once


class VideoReader:
    """Reads videos, frame folders, strips and arrays; satisfies `cache_build.Reader` and `cache_build.PieceReader`.

    Frames are turned upright as the file asks, resized by averaging (AREA) inside swscale, and decoded from the start
    by one thread. Videos of 720 lines or more that do not name their colour matrix are BT.709.

    Args:
        height, width: of the frames given.
        channels: 3 (RGB) or 1 (luma).
        fit: `squash`, `crop` or `pad`; the last two keep the aspect of what is shown. See `scaling.place`.
        fps: None takes every frame of the file; a rate takes what is shown at each 1 / fps seconds.
        alpha: what transparent pixels are laid on: `black`, `white`, or `drop`: the colours they hide.
        frame_width: of strips whose frames are not square.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        fit: Fit = "squash",
        fps: float | None = None,
        alpha: Alpha = "black",
        frame_width: int | None = None,
    ) -> None:
        for key, value, choices in (("channels", channels, (1, 3)), ("fit", fit, ("squash", "crop", "pad"))):
            if value not in choices:
                raise BenchError(f"data.init_args.{key} must be one of {choices}, found {value!r}")
        if alpha not in ("black", "white", "drop"):
            raise BenchError(f"data.init_args.alpha must be black, white or drop, found {alpha!r}")
        if min(height, width) < 1 or (fps is not None and fps <= 0):
            raise BenchError(f"data.init_args.size and fps must be positive, found {height} x {width}, fps {fps}")
        self.shape = (height, width, channels)
        self.fit, self.fps, self.alpha, self.frame_width = fit, fps, alpha, frame_width
        self.policy: dict[str, Any] = {
            "reader": "video",
            "height": height,
            "width": width,
            "channels": channels,
            "resize": "swscale area, full chroma, bit exact",
            "fit": fit,
            "fps": fps,
            "alpha": alpha,
            "frame_width": frame_width,
            "turned": True,
            "untagged": "bt709 from 720 lines on",
            "av": av.__version__,
            "libraries": {name: list(v) for name, v in sorted(av.library_versions.items()) if name in LIBRARIES},
            "pillow": Image.__version__,
        }

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """Frames that the header claims, an estimate; 0 where it does not say. Raises `BadFile`."""
        with open_video(path, self.frame_width, header_only=True) as video:
            claimed = _claimed(video)
            last = min(claimed or end or 0, end or claimed)
            native = max(last - start, 0)
            if self.fps is None or not video.rate:
                return native
            return round(native * self.fps / video.rate)

    def open(self, path: Path, start: int = 0, end: int | None = None) -> "Reading":
        """The frames `start:end` of the file, counted as they are stored."""
        return Reading(self, path, start, end)

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W C of a sound video. Raises `BadFile`, also where only its end is broken."""
        reading = self.open(path)
        pieces = list(reading)
        if reading.broken:
            raise BadFile(reading.broken)
        return np.concatenate(pieces)

    def scaler(self, video: Footage) -> Scaler:
        """For the frames of one video."""
        height, width, channels = self.shape
        return Scaler(height, width, channels, self.fit, self.alpha, video.aspect)


def _claimed(video: Footage) -> int:
    return video.header or round((video.seconds or 0) * (video.rate or 0))


LIBRARIES = ("libavcodec", "libavformat", "libswscale")


class Reading:
    """One pass over a video: uint8 T H W C in pieces. What was found out is complete when they have ended.

    Attributes:
        length: sound frames given.
        header: frames that the file claims, None where it does not.
        claimed: the same, from its duration where it names no frames; 0 where it tells neither.
        rate: frames a second of what was given, None where nothing tells it.
        size: height and width of the file's pictures, upright; None where none was read.
        lossy: how compression changed the frames; None where it did not.
        warnings: what a user should know.
        broken: why there are no more frames than `length`, though there should be; None for a sound video.
    """

    def __init__(self, reader: VideoReader, path: Path, start: int, end: int | None) -> None:
        self._reader, self._path, self._start, self._end = reader, path, start, end
        self.length = 0
        self.header: int | None = None
        self.claimed = 0
        self.rate: float | None = None
        self.size: tuple[int, int] | None = None
        self.lossy: str | None = None
        self.warnings: list[str] = []
        self.broken: str | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Raises `BadFile` where not a single sound frame can be read."""
        with open_video(self._path, self._reader.frame_width) as video:
            self.header, self.claimed = video.header, _claimed(video)
            self.rate = self._reader.fps or video.rate
            scaler = self._reader.scaler(video)
            waiting: list[tuple[int, np.ndarray]] = []  # scaled at once, while the frame is in the processor's cache
            try:
                for number, pixels in self._scaled(video, scaler):
                    waiting.append((number, pixels))
                    if len(waiting) >= PIECE and waiting[PIECE - 1][0] < video.sound:
                        yield self._given(waiting[:PIECE])
                        del waiting[:PIECE]
            except BadFile as error:
                if not waiting and not self.length:
                    raise
                video.broken = f"breaks off after {self.length + len(waiting)} frames: {error}"
            sound = [entry for entry in waiting if entry[0] < video.sound]
            if sound:
                yield self._given(sound)
            self._conclude(video, scaler)

    def _given(self, frames: list[tuple[int, np.ndarray]]) -> np.ndarray:
        self.length += len(frames)
        return np.stack([pixels for _, pixels in frames])

    def _scaled(self, video: Footage, scaler: Scaler) -> Iterator[tuple[int, np.ndarray]]:
        """Number in the file and pixels; every picture is scaled once, also where a rate repeats it."""
        pictures = self._segment(video)
        if self._reader.fps is not None:
            pictures = resampled(pictures, self._reader.fps)
        last = -1
        for frame, _, number in pictures:
            if number != last:
                pixels = scaler(frame)
            last = number
            yield number, pixels

    def _segment(self, video: Footage) -> Iterator[Picture]:
        """The pictures `start:end`. Decoding stops as soon as all of them are known to be sound."""
        count = 0
        for count, picture in enumerate(video.pictures(), start=1):
            if count > self._start and (self._end is None or count <= self._end):
                yield picture._replace(number=count - 1)
            if self._end is not None and min(count, video.sound) >= self._end:
                return
        if self._end is not None and video.broken is None and count < self._end:
            video.broken = f"frames {self._start}:{self._end} were asked for, but it has {count}"

    def _conclude(self, video: Footage, scaler: Scaler) -> None:
        self.warnings, self.broken = list(video.warnings), video.broken
        self.size, self.lossy = scaler.source, video.lossy
        if scaler.turn is not None and not scaler.turn.readable:
            self.warnings.append("its display matrix is no turn by a multiple of 90 degrees: frames are left as stored")
        if video.aspect != 1 and self._reader.fit == "squash":
            self.warnings.append(f"pixels are not square ({video.aspect}): fit: crop or pad shows what a player shows")
        if not self.length:
            raise BadFile(self.broken or "holds no frame")
