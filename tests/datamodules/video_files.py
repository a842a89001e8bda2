"""Video files whose every frame can be told apart, and the ways in which files are broken."""

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

FRAMES, SIDE, FPS = 30, 64, 25
STEP = 6  # grey levels between the marks of two frames
UNIT = 1 << 16  # 1 in a display matrix


def marked(frames: int = FRAMES, height: int = SIDE, width: int = SIDE, first: int = 0) -> np.ndarray:
    """uint8 T H W 3: a colour gradient; the upper left quarter is grey with a level that is the frame's number."""
    y, x = np.mgrid[0:height, 0:width]
    still = np.stack([60 + x * 120 // width, 60 + y * 120 // height, np.full_like(x, 90)], -1).astype(np.uint8)
    video = np.repeat(still[None], frames, 0)
    levels = 30 + STEP * (np.arange(frames) + first)
    video[:, : height // 2, : width // 2] = levels.astype(np.uint8)[:, None, None, None]
    return video


def numbers(video: np.ndarray) -> list[int]:
    """The numbers that the frames of a `marked` video have."""
    height, width = video.shape[1:3]
    mark = video[:, height // 8 : height * 3 // 8, width // 8 : width * 3 // 8].astype(float)
    return [round(float(level)) for level in (mark.mean((1, 2, 3)) - 30) / STEP]


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """SVT-AV1, run by root, gives its threads, of which the caller's may be one, the highest real-time priority.

    All that runs after it on this core would wait for the tests to end.
    """
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").glob("*"):  # of Linux alone
            with contextlib.suppress(ProcessLookupError):  # one of the encoder's, gone meanwhile
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def write_video(
    path: Path,
    video: np.ndarray | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    format: str | None = None,
    times: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    tag: int | None = None,
    gop: int | None = None,
    full_range: bool = False,
) -> Path:
    """Encodes uint8 T H W 3 (or 4: RGBA) by one thread; `times` in milliseconds, else 25 frames a second; `tag` names a
    colour matrix.
    """
    video = marked() if video is None else video
    source = "rgba" if video.shape[3] == 4 else "rgb24"
    options = dict(options or {})
    if codec == "libx264":  # its assembly gives other bytes now and then, and damage would hit another place
        options["x264-params"] = ":".join(filter(None, ["asm=0", options.get("x264-params")]))
    same = {
        "fflags": "+bitexact"
    }  # without it Matroska writes random numbers: damage would hit another place each time
    with (
        unhurried() if codec == "libsvtav1" else contextlib.nullcontext(),
        av.open(str(path), "w", format=format, options=same | (muxer or {})) as file,
    ):
        stream: Any = file.add_stream(codec, rate=FPS, options=options)
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.thread_count = 1
        if gop:
            context.gop_size = gop
        if aspect:
            context.sample_aspect_ratio = aspect
        if times is not None:
            context.time_base = stream.time_base = Fraction(1, 1000)
        if tag is not None:
            context.colorspace = tag
        if full_range:
            context.color_range = 2  # AVCOL_RANGE_JPEG
        for number, pixels_ in enumerate(video):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_), format=source)
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """Silence, and no video."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        for number in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, number * 1024
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_with_cover(path: Path, cover_first: bool = False) -> Path:
    """A marked film with a white cover picture, which is a video stream too."""
    with av.open(str(path), "w") as file:
        film: Any = None
        cover: Any = None
        for name in ("cover", "film") if cover_first else ("film", "cover"):
            if name == "film":
                film = file.add_stream("libx264", rate=FPS)
                film.height, film.width, film.pix_fmt = SIDE, SIDE, "yuv420p"
            else:
                cover = file.add_stream("mjpeg", rate=1)
                cover.height, cover.width, cover.pix_fmt = 96, 96, "yuvj420p"
                cover.disposition = Disposition.attached_pic
        white = av.VideoFrame.from_ndarray(np.full((96, 96, 3), 255, np.uint8), format="rgb24")
        for packet in cover.encode(white) + cover.encode():
            file.mux(packet)
        for picture in marked():
            file.mux(film.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(film.encode())
    return path


def copy_stream(source: Path, path: Path, first: int = 0, earlier: int = 0) -> Path:
    """A stream copy that begins at packet `first`, or whose first `earlier` frames an edit list hides."""
    with av.open(str(source)) as old, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new:
        film = old.streams.video[0]
        stream = new.add_stream_from_template(film)
        assert film.time_base is not None
        shift = round(earlier / FPS / film.time_base)
        for number, packet in enumerate(old.demux(film)):
            if packet.pts is None or packet.dts is None or number < first:
                continue
            packet.stream = stream
            packet.pts -= shift
            packet.dts -= shift
            new.mux(packet)
    return path


def cut(source: Path, path: Path, share: float) -> Path:
    """The first part of the bytes."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flip_bits(source: Path, path: Path, count: int = 20, seed: int = 0) -> Path:
    """One bit in each of `count` bytes of the middle third."""
    data, rng = bytearray(source.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(len(data) // 3, 2 * len(data) // 3, count):
        data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return path


def break_packet(source: Path, path: Path, number: int) -> Path:
    """Noise over the second half of the packet that is the `number`-th to be decoded."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as file:
        packet = [p for p in file.demux(file.streams.video[0]) if p.size][number]
        assert packet.pos is not None
        begin, end = packet.pos + packet.size // 2, packet.pos + packet.size
    data[begin:end] = np.random.default_rng(0).bytes(end - begin)
    path.write_bytes(data)
    return path


def with_matrix(source: Path, path: Path, a: int, b: int, c: int, d: int) -> Path:
    """An mp4 that asks to be shown turned: a pixel at (x, y) belongs at (a x + c y, b x + d y)."""
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and ids, layer and volume
    assert struct.unpack(">9i", data[at : at + 36]) == (UNIT, 0, 0, 0, UNIT, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", a * UNIT, b * UNIT, 0, c * UNIT, d * UNIT, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
