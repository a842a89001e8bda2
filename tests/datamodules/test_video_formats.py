"""Files that are sound, however unusual: every frame, in order, in the right colours."""

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from datamodules.video_reader import Reading, VideoReader
from tests.datamodules.video_files import (
    FRAMES,
    SIDE,
    copy_stream,
    marked,
    numbers,
    write_video,
    write_with_cover,
)

FINE = {"qmin": "1", "qmax": "2"}
FAST = {"cpu-used": "8", "deadline": "realtime"}
VARIABLE = np.cumsum([40, 40, 120] * 10).tolist()


def grey(frames: int = FRAMES) -> np.ndarray:
    return marked(frames)[..., :1].repeat(3, 3)


def odd() -> np.ndarray:
    return marked(height=65, width=63)


def read(path: Path, reader: VideoReader | None = None) -> tuple[np.ndarray, Reading]:
    reading = (reader or VideoReader(SIDE, SIDE)).open(path)
    return np.concatenate(list(reading)), reading


SOUND: dict[str, Callable[[Path], Path]] = {
    "h264.mp4": lambda p: write_video(p),
    "faststart.mp4": lambda p: write_video(p, muxer={"movflags": "faststart"}),
    "fragmented.mp4": lambda p: write_video(p, gop=10, muxer={"movflags": "frag_keyframe+empty_moov"}),
    "h264.m4v": lambda p: write_video(p),
    "qtrle.mov": lambda p: write_video(p, codec="qtrle", pixels="rgb24"),
    "mpeg4.avi": lambda p: write_video(p, codec="mpeg4", options=FINE),
    "mjpeg.avi": lambda p: write_video(p, codec="mjpeg", pixels="yuvj420p"),
    "msmpeg4.avi": lambda p: write_video(p, codec="msmpeg4", options=FINE),
    "huffyuv.avi": lambda p: write_video(p, codec="huffyuv", pixels="rgb24"),
    "raw.avi": lambda p: write_video(p, codec="rawvideo"),
    "h264.mkv": lambda p: write_video(p),
    "ffv1.mkv": lambda p: write_video(p, codec="ffv1", pixels="bgr0"),
    "vp8.webm": lambda p: write_video(p, codec="libvpx", options=FAST),
    "vp9.webm": lambda p: write_video(p, codec="libvpx-vp9", options=FAST),
    "h265.mp4": lambda p: write_video(p, codec="libx265", options={"x265-params": "log-level=none"}),
    "ten bits.mp4": lambda p: write_video(p, pixels="yuv420p10le"),
    "ten bits h265.mp4": lambda p: write_video(
        p, codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none"}
    ),
    "full colour.mp4": lambda p: write_video(p, pixels="yuv444p"),
    "grey.mp4": lambda p: write_video(p, grey(), pixels="gray", full_range=True),
    "grey of 16 bits.mkv": lambda p: write_video(p, grey(), codec="ffv1", pixels="gray16le"),
    "animation.gif": lambda p: write_video(p, codec="gif", pixels="rgb8"),
    "mpeg2.mpg": lambda p: write_video(p, codec="mpeg2video"),
    "raw.h264": lambda p: write_video(p, format="h264"),
    "odd size.mp4": lambda p: write_video(p, odd(), pixels="yuv444p"),
    "odd size.webm": lambda p: write_video(p, odd(), codec="libvpx-vp9", options=FAST),
    "variable rate.mp4": lambda p: write_video(p, times=VARIABLE),
    "variable rate.mkv": lambda p: write_video(p, times=VARIABLE),
    "cover art.mp4": lambda p: write_with_cover(p),
    "cover art first.mp4": lambda p: write_with_cover(p, cover_first=True),
    "suffix of another kind.avi": lambda p: write_video(p, format="webm", codec="libvpx-vp9", options=FAST),
    "no suffix": lambda p: write_video(p, format="mp4"),
}


@pytest.mark.parametrize("name", SOUND)
def test_every_frame_of_a_sound_file(tmp_path: Path, name: str) -> None:
    path = SOUND[name](tmp_path / name)
    video, reading = read(path)
    assert numbers(video) == list(range(FRAMES))
    assert (reading.broken, reading.length, video.shape) == (None, FRAMES, (FRAMES, SIDE, SIDE, 3))
    wanted = grey() if "grey" in name else marked()
    error = np.abs(video.astype(float) - wanted)[:, 4:-4, 36:-4].mean()
    assert error < (14 if name.endswith("gif") else 5)  # 256 fixed colours in a gif of this encoder
    if "variable" not in name:
        assert reading.warnings == []


def test_av1(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"})
    assert numbers(read(path)[0]) == list(range(FRAMES))
    if sys.platform == "linux":
        assert os.sched_getscheduler(0) == os.SCHED_OTHER  # the encoder asks for more


def test_lossless_frames_come_back_bit_by_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 10, 14, 3), dtype=np.uint8)
    path = write_video(tmp_path / "a.mkv", noise, codec="ffv1", pixels="bgr0")
    reader = VideoReader(10, 14)
    np.testing.assert_array_equal(reader.read(path), noise)
    pieces = [len(piece) for piece in reader.open(path)]
    assert pieces == [32, 8]  # never the whole video at once


@pytest.mark.parametrize("name", ["variable rate.mp4", "variable rate.mkv"])
def test_a_variable_rate_is_said_and_can_be_evened(tmp_path: Path, name: str) -> None:
    path = SOUND[name](tmp_path / name)
    assert [w for w in read(path)[1].warnings if "variable frame rate: frames last 0.040 to 0.120 s" in w]
    video, reading = read(path, VideoReader(SIDE, SIDE, fps=25))
    # Shown from 40, 80, 200 ms on, and so on: at 25 frames a second the second of three stays for three frames.
    assert numbers(video)[:9] == [0, 1, 1, 1, 2, 3, 4, 4, 4]
    assert reading.rate == 25


def test_half_the_rate_takes_every_second_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    assert numbers(read(path, VideoReader(SIDE, SIDE, fps=12.5))[0]) == list(range(0, FRAMES, 2))
    doubled = numbers(read(path, VideoReader(SIDE, SIDE, fps=50))[0])
    assert doubled == [number for number in range(FRAMES) for _ in range(2)]


def test_a_part_is_counted_in_stored_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    reader = VideoReader(SIDE, SIDE)
    reading = reader.open(path, 5, 12)
    assert numbers(np.concatenate(list(reading))) == list(range(5, 12)) and reading.broken is None
    assert reader.count(path, 5, 12) == 7 and reader.count(path, 5) == 25 and reader.count(path) == 30
    reading = reader.open(path, 25, 40)
    assert numbers(np.concatenate(list(reading))) == list(range(25, 30))
    assert reading.broken == "frames 25:40 were asked for, but it has 30"


def test_raw_h264_has_no_times_but_a_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", format="h264")
    assert VideoReader(SIDE, SIDE).count(path) == 0  # its header says nothing
    assert len(read(path, VideoReader(SIDE, SIDE, fps=12.5))[0]) == FRAMES / 2


def test_an_edit_list_hides_frames_and_is_no_damage(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", options={"bf": "0"})
    video, reading = read(copy_stream(whole, tmp_path / "a.mp4", earlier=10))
    assert numbers(video) == list(range(10, 30))
    assert (reading.broken, reading.warnings) == (None, ["the header names 30 frames, 20 decode"])


def test_a_copy_that_starts_between_key_frames_gives_what_can_be_decoded(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", gop=15, options={"bf": "0"})
    video, reading = read(copy_stream(whole, tmp_path / "a.mp4", first=5))
    assert numbers(video) == list(range(15, 30))
    assert reading.warnings == ["the header names 25 frames, 15 decode"]


def test_a_header_that_is_two_frames_off_is_a_warning(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", codec="mjpeg", pixels="yuvj420p")
    data = path.read_bytes()
    wrong = data.replace((30).to_bytes(4, "little"), (32).to_bytes(4, "little"))
    path.write_bytes(wrong)
    video, reading = read(path)
    assert len(video) == 30 and reading.broken is None
    assert reading.warnings == ["the header names 32 frames, 30 decode"]


def test_interlaced_video_is_said(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mpg", codec="mpeg2video", options={"flags": "+ildct+ilme"})
    video, reading = read(path)
    assert numbers(video) == list(range(FRAMES))
    assert [warning.partition(":")[0] for warning in reading.warnings] == ["interlaced"]


def test_pixels_that_are_not_square_are_said_only_where_they_are_squashed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", aspect=Fraction(16, 11))
    assert "pixels are not square (16/11)" in read(path)[1].warnings[0]
    assert read(path, VideoReader(SIDE, SIDE, fit="crop"))[1].warnings == []


def test_a_size_that_changes_on_the_way_is_scaled_all_the_same(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.h264", marked(15), format="h264")
    two = write_video(tmp_path / "two.h264", marked(15, 96, 80, first=15), format="h264")
    path = tmp_path / "a.h264"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    assert numbers(read(path)[0]) == list(range(30))
