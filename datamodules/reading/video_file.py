"""Video files by PyAV: which stream is the video, and every sign that it is not whole."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from av.video.frame import PictureType

from datamodules.bad_files import BadFile
from datamodules.files import readable_size
from datamodules.reading.complete import Claims, missing, tag_seconds
from datamodules.reading.footage import Footage, Picture
from datamodules.reading.loss import of_codec
from datamodules.reading.timing import Timing


class VideoFile(Footage):
    """A container that FFmpeg can open, decoded from its start by one thread.

    Seeking is never used: after a stream copy, or in a file with a wrong index, it lands on frames that cannot be
    decoded. Frames that may be predicted from a damaged one do not count as sound: those that follow it, and the B
    frames shown before it.

    Args:
        path: the file.
        header_only: no pictures will be asked for: FFmpeg need not decode the first ones, which takes as long as 20
            frames of H.264.

    Raises:
        BadFile: not a readable video, or no video in it.
    """

    def __init__(self, path: Path, header_only: bool = False) -> None:
        super().__init__()
        self._path = path
        options = {"skip_frame": "all"} if header_only else {}
        try:
            self._container: Any = av.open(os.fspath(path), options=options)
        except (av.FFmpegError, ValueError) as error:
            raise BadFile(_unreadable(path, error)) from error
        try:
            self._stream = self._choose()
            self._read_header()
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Closes the container."""
        self._container.close()

    def _choose(self) -> Any:
        """The stream with most frames that is not a cover picture."""
        streams = self._container.streams.video
        films = [s for s in streams if not s.disposition & Disposition.attached_pic]
        if not films:
            others = sorted({str(s.type) for s in self._container.streams} - {"video"})
            held = "only a cover picture" if streams else f"only {', '.join(others)}" if others else "no stream at all"
            raise BadFile(f"holds no video: {held}")
        if len(films) > 1:
            self.warnings.append(f"{len(films)} video streams; the one with most frames is taken")
        return max(films, key=lambda s: s.frames)  # the first of equals

    def _read_header(self) -> None:
        stream, context = self._stream, self._stream.codec_context
        if context is None:
            raise BadFile("holds a video of a codec that is not known")
        context.thread_count = 1
        self.lossy = of_codec(context.codec.canonical_name, context.pix_fmt)
        self.header = stream.frames or None
        self.rate = float(stream.average_rate or stream.guessed_rate or 0) or None
        self.aspect = Fraction(stream.sample_aspect_ratio or 1)
        alone = len(self._container.streams) == 1
        if stream.duration is not None:
            self.seconds = float(stream.duration * stream.time_base)
        else:
            whole = self._container.duration / av.time_base if alone and self._container.duration else None
            self.seconds = tag_seconds(stream.metadata.get("DURATION")) or whole
        if stream.metadata.get("alpha_mode") == "1" and context.name.startswith("vp"):
            self.warnings.append("its transparency is not decoded: VP8 and VP9 keep it in a layer of its own")

    def pictures(self) -> Iterator[Picture]:
        """Frames until the first damaged one; afterwards `sound`, `broken` and `warnings` say what was found."""
        number, damaged, interlaced = 0, [], False
        self.sound = 0
        timing = Timing(self.rate)
        try:
            for frame in self._container.decode(self._stream):
                if frame.is_corrupt:
                    damaged.append(number)
                interlaced = interlaced or frame.interlaced_frame
                time = timing.of(frame)
                number += 1
                if damaged:
                    continue
                if frame.pict_type != PictureType.B:  # a B frame is sound only if the next frame of another type is
                    self.sound = number
                yield Picture(frame, time)
        except av.FFmpegError as error:
            self.broken = f"breaks off after {number}{self._claimed()} frames: {error.strerror}"
        else:
            self._judge_length(number, timing)
        if damaged:
            self.broken = f"{len(damaged)} of {number} frames are damaged, the first is frame {damaged[0]}"
        if self.broken is None:
            self.sound = number
        self.warnings += timing.warnings()
        if interlaced:
            self.warnings.append("interlaced: both fields of a frame are kept as they are, moving edges look combed")

    def _claimed(self) -> str:
        return f" of {self.header}" if self.header else ""

    def _judge_length(self, number: int, timing: Timing) -> None:
        start = self._stream.start_time
        claims = Claims(
            container=self._container.format.name,
            frames=self.header,
            seconds=self.seconds,
            start=float(start * self._stream.time_base) if start is not None else 0.0,
        )
        self.broken = missing(claims, number, timing.end, timing.step, self._path)
        if self.broken is None and self.header and self.header != number:
            self.warnings.append(f"the header names {self.header} frames, {number} decode")


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return str(error.strerror)
    try:
        size = path.stat().st_size
    except OSError as trouble:
        return str(trouble.strerror)
    if not size:
        return "empty: 0 bytes"
    with path.open("rb") as file:
        mp4 = file.read(8)[4:] == b"ftyp"
    hint = "an mp4 without its index: cut off?" if mp4 else "of no known kind, or cut off"
    reason = getattr(error, "strerror", None) or str(error)
    return f"not a readable video ({readable_size(size)}, {hint}): {reason}"
