"""Clips and pictures on disk: mp4 to look at, FFV1 to measure, contact sheets. Whole files or none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image

from datamodules.errors import BenchError
from datamodules.files import cannot_write

SHOWN = 128  # pixels that the shorter side of a shown clip has at least
BT709, LIMITED = 1, 1  # as H.264 writes them (ITU-T H.273); untagged files are shown in other colours by some players


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, renamed to `path` when the block succeeds and removed when it fails.

    Raises:
        BenchError: the file system refused (full, read-only); what was at `path` is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:  # PyAV's errors for what the system refuses are OSErrors too
        raise cannot_write(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def write_mp4(path: Path, clip: np.ndarray, fps: int = 8, scale: int | None = None) -> None:
    """H.264 that every browser plays. The same clip gives the same bytes.

    Args:
        clip: uint8 T H W C, C 1 or 3.
        fps: frames a second, at least 1.
        scale: whole factor by which pixels are repeated, so that they stay sharp. By default the smallest that gives
            even sides of at least 128 pixels. Even factors keep the colours of single pixels: chroma has half the size.

    Raises:
        BenchError: wrong shape, type or argument, sides that are not even, or a disk that refuses.
    """
    _check(clip, fps)
    scale = _scale(*clip.shape[1:3]) if scale is None else scale
    height, width = (side * scale for side in clip.shape[1:3])
    if scale < 1 or height % 2 or width % 2:
        raise BenchError(f"scale {scale} makes {width} x {height} pixels; H.264 needs even sides of at least 2")
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with replacing(path) as beside, av.open(beside, "w", format="mp4", options=options) as file:
        stream = file.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "fast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # the bytes depend on it
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        for frame in clip:
            large = _rgb(frame).repeat(scale, 0).repeat(scale, 1)  # H W 3
            picture = av.VideoFrame.from_ndarray(large, format="rgb24")
            file.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED)))
        file.mux(stream.encode())


def write_lossless(path: Path, clip: np.ndarray, fps: int = 8) -> None:
    """FFV1 in Matroska: `read_video` gives back the same bytes.

    Args:
        clip: uint8 T H W C, C 1 or 3.

    Raises:
        BenchError: wrong shape or type, or a disk that refuses.
    """
    _check(clip, fps)
    pixels, given = ("gray", "gray") if clip.shape[3] == 1 else ("bgr0", "rgb24")
    with replacing(path) as beside, av.open(beside, "w", format="matroska", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("ffv1", rate=fps, options={"level": "3"})
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(frame[..., 0] if given == "gray" else frame, format=given)
            file.mux(stream.encode(picture.reformat(format=pixels)))
        file.mux(stream.encode())


def read_video(path: Path) -> np.ndarray:
    """uint8 T H W C as it was written; C is 1 where the file is grey.

    Raises:
        BenchError: no file, no video in it, or it breaks off.
    """
    try:
        with av.open(path) as file:
            shown = "gray" if file.streams.video[0].codec_context.pix_fmt == "gray" else "rgb24"
            frames = [frame.to_ndarray(format=shown) for frame in file.decode(video=0)]
    except (OSError, ValueError, IndexError) as error:
        raise BenchError(f"{path} cannot be read as a video: {error}") from error
    if not frames:
        raise BenchError(f"{path} holds no frame")
    return np.stack(frames).reshape(len(frames), *frames[0].shape[:2], -1)


def contact_sheet(clips: np.ndarray, rows: int = 8, columns: int = 8, gap: int = 2) -> np.ndarray:
    """Clips in rows, their frames from first to last in columns.

    Args:
        clips: uint8 N T H W C.
        rows: the first `rows` clips are shown, or all where there are fewer.
        columns: frames shown of each clip, evenly spaced, first and last included; all where there are fewer.
        gap: white pixels between frames and around them.

    Returns:
        uint8 H W C.

    Raises:
        BenchError: not uint8 N T H W C, no clip in it, or `rows` or `columns` below 1.
    """
    if clips.dtype != np.uint8 or clips.ndim != 5 or 0 in clips.shape or clips.shape[4] not in (1, 3):
        raise BenchError(f"a contact sheet takes uint8 clips N T H W C, got {clips.dtype} {clips.shape}")
    if rows < 1 or columns < 1:
        raise BenchError(f"a contact sheet has at least 1 row and 1 column, asked for {rows} x {columns}")
    at = np.linspace(0, clips.shape[1] - 1, min(columns, clips.shape[1])).round().astype(int)
    shown = clips[:rows, at]  # R K H W C
    padded = np.pad(shown, ((0, 0), (0, 0), (gap, 0), (gap, 0), (0, 0)), constant_values=255)
    r, k, h, w, c = padded.shape
    sheet = padded.transpose(0, 2, 1, 3, 4).reshape(r * h, k * w, c)
    return np.pad(sheet, ((0, gap), (0, gap), (0, 0)), constant_values=255)


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes uint8 H W C, C 1 or 3.

    Raises:
        BenchError: wrong shape or type, or a disk that refuses.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape or image.shape[2] not in (1, 3):
        raise BenchError(f"a picture must be uint8 H W C with 1 or 3 channels, got {image.dtype} {image.shape}")
    with replacing(path) as beside:
        Image.fromarray(_rgb(image)).save(beside, format="PNG")


def _check(clip: np.ndarray, fps: int) -> None:
    if clip.dtype != np.uint8 or clip.ndim != 4 or 0 in clip.shape or clip.shape[3] not in (1, 3):
        raise BenchError(f"a clip must be uint8 T H W C with 1 or 3 channels, got {clip.dtype} {clip.shape}")
    if fps < 1:
        raise BenchError(f"fps must be at least 1, found {fps}")


def _scale(height: int, width: int) -> int:
    even = height % 2 == 0 and width % 2 == 0
    shorter = min(height, width)
    if even and shorter >= SHOWN:
        return 1
    return 2 * -(-SHOWN // (2 * shorter))


def _rgb(frame: np.ndarray) -> np.ndarray:
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
