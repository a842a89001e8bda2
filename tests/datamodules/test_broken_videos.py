"""Files that are not whole: each names what is wrong, and how many sound frames there are."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.bad_files import BadFile
from datamodules.video_reader import VideoReader
from tests.datamodules.strip_files import save_strip
from tests.datamodules.video_files import (
    FRAMES,
    SIDE,
    break_packet,
    copy_stream,
    cut,
    flip_bits,
    marked,
    numbers,
    write_audio,
    write_video,
)

READER = VideoReader(SIDE, SIDE)
FAST = {"cpu-used": "8", "deadline": "realtime"}


def wrote(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def saved(path: Path, array: np.ndarray) -> Path:
    with path.open("wb") as file:
        np.save(file, array)
    return path


def zipped(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, allow_pickle=False, **arrays)
    return path


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"?")
    return path


def picture(path: Path, count: int) -> Path:
    save_strip(path, marked(count, 16, 16))
    return path


FASTSTART = {"movflags": "faststart"}
UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing.mp4": (lambda p: p, "No such file or directory"),
    "empty.mp4": (lambda p: wrote(p, b""), "empty: 0 bytes"),
    "text.mp4": (
        lambda p: wrote(p, b"no video " * 50),
        r"not a readable video \(450 B, of no known kind, or cut off\): I",
    ),
    "random.mp4": (lambda p: wrote(p, np.random.default_rng(0).bytes(5000)), r"not a readable video \(5\.0 kB"),
    "no index.mp4": (lambda p: cut(write_video(p), p, 0.5), r"not a readable video \(.*, an mp4 without its index"),
    "cut in its index.mp4": (
        lambda p: cut(write_video(p, muxer=FASTSTART), p, 0.02),
        "holds no video: no stream at all",
    ),
    "header only.mkv": (lambda p: cut(write_video(p), p, 0.02), r"not a readable video \(\d+ B"),
    "header only.avi": (
        lambda p: wrote(p, write_video(p, codec="mjpeg", pixels="yuvj420p").read_bytes()[:300]),
        "not a",
    ),
    "sound only.mp4": (write_audio, "holds no video: only audio"),
    "empty folder": (lambda p: folder(p), "a folder without pictures: looked for .png, .jpg"),
    "folder of other files": (lambda p: folder(p, "a.txt"), "a folder without pictures"),
    "folder of broken files": (lambda p: folder(p, "1.png"), "breaks off after 0 of 1 frames: 1.png: not an image"),
    "one picture.png": (lambda p: picture(p, 1), "a single picture, not a video"),
    "short strip.png": (lambda p: picture(p, 3), "a single picture, not a video"),
    "half strip.png": (lambda p: cut(picture(p, 8), p, 0.5), "not a readable image"),
    "float.npy": (lambda p: saved(p, np.zeros((4, 8, 8, 3), np.float32)), r"holds float32 .*levels 0\.\.255 as uint8"),
    "planar.npy": (lambda p: saved(p, np.zeros((4, 3, 8, 8), np.uint8)), r"holds .*move the channels to the last axis"),
    "flat.npy": (lambda p: saved(p, np.zeros((4, 8, 8), np.uint8)), r"holds uint8 \(4, 8, 8\), expected uint8 T H W C"),
    "no frame.npy": (lambda p: saved(p, np.zeros((0, 8, 8, 3), np.uint8)), "holds no frame"),
    "objects.npy": (lambda p: saved(p, np.array([{}], dtype=object)), "not a readable array: .*Python objects"),
    "half.npy": (lambda p: cut(saved(p, marked(4)), p, 0.5), "not a readable array"),
    "other key.npz": (lambda p: zipped(p, frames=marked(4)), "holds frames; expected the key `video`"),
    "half.npz": (lambda p: cut(zipped(p, video=marked(4)), p, 0.5), "not a readable array"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_video_says_why(tmp_path: Path, name: str) -> None:
    make, reason = UNUSABLE[name]
    path = make(tmp_path / name)
    with pytest.raises(BadFile, match=reason) as error:
        READER.read(path)
    assert str(tmp_path) not in str(error.value)  # the caller names the file


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("datamodules.reading.frame_folder.os.scandir", refuse)
    with pytest.raises(BadFile, match=r"^Permission denied$"):
        READER.read(tmp_path)


def mjpeg(path: Path) -> Path:
    return write_video(path, codec="mjpeg", pixels="yuvj420p")


def fragmented(path: Path) -> Path:
    return write_video(path, gop=10, muxer={"movflags": "frag_keyframe+empty_moov"})


# What makes the file, the share of its bytes that is left, and the reason.
CUT: dict[str, tuple[Callable[[Path], Path], float, str]] = {
    "faststart.mp4": (
        lambda p: write_video(p, muxer=FASTSTART),
        0.8,
        r"breaks off after \d+ of 30 frames: Invalid data",
    ),
    "fragmented.mp4": (fragmented, 0.7, r"breaks off after \d+ frames: Invalid data"),
    "fragmented between frames.mp4": (
        fragmented,
        0.8,
        "cut off: the file ends within its `mo?.*` box, 20 frames decode",
    ),
    "within a picture.avi": (mjpeg, 0.6, "breaks off after 10 of 30 frames: Invalid data"),
    "between pictures.avi": (mjpeg, 0.7, "cut off: the header names 30 frames, 16 decode"),
    "h264.mkv": (write_video, 0.8, r"cut off: the header names 1\.20 s, 14 frames end at 0\.56 s"),
    "vp9.webm": (
        lambda p: write_video(p, codec="libvpx-vp9", options=FAST),
        0.6,
        r"cut off: the header names 1\.20 s, \d+ frames end at 0\.\d",
    ),
    "animation.gif": (
        lambda p: write_video(p, codec="gif", pixels="rgb8"),
        0.6,
        "cut off: 18 frames decode, but the mark at the end of a GIF is missing",
    ),
    "raw.h264": (lambda p: write_video(p, format="h264"), 0.6, "1 of 2 frames are damaged, the first is frame 1"),
}


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_off_gives_its_sound_frames_and_says_so(tmp_path: Path, name: str) -> None:
    make, share, reason = CUT[name]
    path = cut(make(tmp_path / name), tmp_path / f"cut {name}", share)
    reading = READER.open(path)
    video = np.concatenate(list(reading))
    assert reading.broken is not None and re.fullmatch(f"{reason}.*", reading.broken)
    assert 1 <= reading.length == len(video) < FRAMES
    assert numbers(video) == list(range(len(video)))
    with pytest.raises(BadFile, match=reason):
        READER.read(path)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_frames_from_the_first_damaged_one_on_are_not_given(tmp_path: Path, name: str, codec: str) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    options = {"qmin": "1", "qmax": "2"} if codec == "mpeg4" else {}
    whole = write_video(tmp_path / f"whole {name}", marked() + noise, codec, options=options)
    good = READER.read(whole)
    reading = READER.open(flip_bits(whole, tmp_path / name, count=10))
    video = np.concatenate(list(reading))
    assert reading.broken is not None and re.search("frames are damaged|breaks off after", reading.broken)
    assert 3 <= len(video) < FRAMES
    np.testing.assert_array_equal(video, good[: len(video)])


def test_frames_predicted_from_a_later_damaged_one_are_not_given(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    options = {"bf": "3", "x264-params": "b-adapt=0:b-pyramid=none"}  # I, then three B shown before each P
    whole = write_video(tmp_path / "whole.mp4", marked() + noise, options=options)
    good = READER.read(whole)
    path = break_packet(whole, tmp_path / "a.mp4", 5)  # decoded: I0 P4 B1 B2 B3 P8
    reading = READER.open(path)
    video = np.concatenate(list(reading))
    assert reading.broken is not None and len(video) == 5  # B5 to B7 are flagged by nobody
    np.testing.assert_array_equal(video, good[:5])


def test_a_frame_folder_breaks_off_at_a_frame_of_another_size(tmp_path: Path) -> None:
    for number in range(4):
        save_strip(tmp_path / "clip" / f"{number}.png", marked(1, 16, 16 if number < 2 else 20, first=number))
    reading = READER.open(tmp_path / "clip")
    assert numbers(np.concatenate(list(reading))) == [0, 1]
    assert reading.broken == "breaks off after 2 of 4 frames: 2.png: 20x16 pixels, but 0.png has 16x16"


def test_colours_that_cannot_be_converted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", tag=8)  # YCgCo
    with pytest.raises(BadFile, match=r"^pixels yuv420p in colour space 8 .* cannot be converted: Operation not"):
        READER.read(path)


def test_a_stream_without_frames(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", options={"bf": "0"})
    path = copy_stream(whole, tmp_path / "a.mkv", first=1)  # no key frame is left
    with pytest.raises(BadFile, match=r"holds no frame|cut off"):
        READER.read(path)
