"""Frame folders, strips and arrays: the same frames as from a video file, at any size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.reading.frame_folder import natural, picture_names
from datamodules.reading.kinds import known_kind
from datamodules.reading.open import open_video
from datamodules.video_reader import VideoReader
from tests.datamodules.strip_files import save_strip
from tests.datamodules.video_files import write_video

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)


def frames(folder: Path, video: np.ndarray, suffix: str = "png", zeros: int = 0) -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(video, start=1):
        Image.fromarray(picture).save(folder / f"frame{number:0{zeros}}.{suffix}")
    return folder


def every_kind(folder: Path) -> dict[str, Path]:
    """`NOISE` in all ways in which it can be stored without loss."""
    save_strip(folder / "wide", NOISE)
    save_strip(folder / "tall", NOISE, vertical=True)
    np.save(folder / "array.npy", NOISE)
    np.savez_compressed(folder / "array.npz", allow_pickle=False, video=NOISE)
    return {
        "frames": frames(folder / "frames", NOISE),
        "bitmaps": frames(folder / "bitmaps", NOISE, "bmp"),
        "portable pixmaps": frames(folder / "pixmaps", NOISE, "ppm"),
        "numbered with zeros": frames(folder / "zeros", NOISE, zeros=4),
        "wide strip": folder / "wide",
        "tall strip": folder / "tall",
        "npy": folder / "array.npy",
        "npz": folder / "array.npz",
        "ffv1": write_video(folder / "a.mkv", NOISE, codec="ffv1", pixels="bgr0"),
        "huffyuv": write_video(folder / "a.avi", NOISE, codec="huffyuv", pixels="rgb24"),
        "qtrle": write_video(folder / "a.mov", NOISE, codec="qtrle", pixels="rgb24"),
    }


@pytest.mark.parametrize("size", [(16, 16), (8, 8), (7, 11), (20, 30)])
def test_one_clip_stored_in_many_ways_gives_the_same_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    reader = VideoReader(*size)
    read = {kind: reader.read(path) for kind, path in every_kind(tmp_path).items()}
    for kind, video in read.items():
        np.testing.assert_array_equal(video, read["ffv1"], err_msg=kind)
    if size == (16, 16):
        np.testing.assert_array_equal(read["ffv1"], NOISE)


def test_counts_come_from_the_header(tmp_path: Path) -> None:
    assert {VideoReader(8, 8).count(path) for path in every_kind(tmp_path).values()} == {12}


def test_frames_are_ordered_as_people_count(tmp_path: Path) -> None:
    names = ["f10.png", "f2.png", "f1.png", "f02.png", "F3.PNG", "b.png", "100.png", "9.png"]
    assert sorted(names, key=natural) == [
        "9.png",
        "100.png",
        "F3.PNG",
        "b.png",
        "f1.png",
        "f02.png",
        "f2.png",
        "f10.png",
    ]
    frames(tmp_path / "a", NOISE)
    for other in (".hidden.png", "notes.txt", "pose.json"):
        (tmp_path / "a" / other).write_bytes(b"")
    assert picture_names(tmp_path / "a") == [f"frame{number}.png" for number in range(1, 13)]


@pytest.mark.parametrize(("numbers", "gap"), [((1, 2, 3), None), ((0, 5, 10), None), ((1, 2, 4), "4 follows 2")])
def test_gaps_in_the_numbers_are_said(tmp_path: Path, numbers: tuple[int, ...], gap: str | None) -> None:
    tmp_path.joinpath("a").mkdir()
    for number in numbers:
        Image.fromarray(NOISE[0]).save(tmp_path / "a" / f"{number}.png")
    reading = VideoReader(16, 16).open(tmp_path / "a")
    assert sum(map(len, reading)) == 3 and reading.broken is None
    assert reading.warnings == ([f"frame numbers leave gaps: {gap}"] if gap else [])


def test_pictures_of_many_modes(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    colours = Image.fromarray(NOISE[0])
    clear = colours.copy()
    clear.putalpha(0)
    colours.convert("L").save(folder / "1 grey.png")
    colours.convert("P").save(folder / "2 palette.png")
    clear.save(folder / "3 transparent.png")
    colours.convert("1").save(folder / "4 bits.png")
    black, dropped = (VideoReader(16, 16, alpha=alpha).read(folder) for alpha in ("black", "drop"))
    assert (black[0] == black[0][..., :1]).all() and (black[3] == black[3][..., :1]).all()
    np.testing.assert_array_equal(black[1], np.asarray(colours.convert("P").convert("RGB")))
    assert black[2].max() == 0
    np.testing.assert_array_equal(dropped[2], NOISE[0])


def test_pictures_of_16_bits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "a" / "1.png")
    with pytest.raises(BadFile, match=r"1\.png: mode I;16 has more than 8 bits a channel"):
        VideoReader(8, 8).read(tmp_path / "a")


def test_frames_without_times_have_no_rate_to_change(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no times, so they cannot be brought to another rate"):
        VideoReader(16, 16, fps=10).read(frames(tmp_path / "a", NOISE))


def test_a_strip_of_frames_that_are_not_square(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    save_strip(tmp_path / "a.png", video)
    np.testing.assert_array_equal(VideoReader(16, 24, frame_width=24).read(tmp_path / "a.png"), video)


def test_a_grey_array_and_one_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", NOISE[..., :1])
    grey = VideoReader(16, 16, channels=1).read(tmp_path / "a.npy")
    np.testing.assert_array_equal(grey, NOISE[..., :1])
    np.testing.assert_array_equal(VideoReader(16, 16).read(tmp_path / "a.npy"), NOISE[..., :1].repeat(3, 3))


def test_an_array_is_not_read_beyond_what_is_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", NOISE)
    with open_video(tmp_path / "a.npy") as video:
        assert isinstance(vars(video)["_video"], np.memmap)
    reading = VideoReader(16, 16).open(tmp_path / "a.npy", 3, 5)
    np.testing.assert_array_equal(np.concatenate(list(reading)), NOISE[3:5])


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\xff\xd8\xff\xe0", "picture"),
        (b"RIFF....WEBP", "picture"),
        (b"RIFF....AVI LIST", "video"),
        (b"\x93NUMPY\x01", "array"),
        (b"PK\x03\x04", "array"),
        (b"\0\0\0\x20ftypisom", "video"),
        (b"\x1a\x45\xdf\xa3", "video"),
        (b"GIF89a", "video"),
        (b"\0\0\x01\xba", "video"),
        (b"RIFF....WAVE", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_kinds_by_their_first_bytes(tmp_path: Path, head: bytes, kind: str | None) -> None:
    (tmp_path / "a").write_bytes(head)
    assert known_kind(tmp_path / "a") == kind
    assert known_kind(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 4}, r"channels must be one of \(1, 3\), found 4"),
        ({"fit": "stretch"}, "fit must be one of .*found 'stretch'"),
        ({"alpha": "red"}, "alpha must be black, white or drop, found 'red'"),
        ({"fps": 0.0}, "must be positive"),
    ],
)
def test_what_a_reader_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        VideoReader(8, 8, **arguments)  # type: ignore[arg-type]


def test_all_that_decides_the_pixels_is_in_the_policy() -> None:
    variants: list[dict[str, object]] = [
        {},
        {"channels": 1},
        {"fit": "pad"},
        {"fps": 10.0},
        {"alpha": "white"},
        {"frame_width": 9},
    ]
    policies = [repr(VideoReader(8, 8, **v).policy) for v in variants] + [repr(VideoReader(8, 9).policy)]  # type: ignore[arg-type]
    assert len(set(policies)) == 7
    assert {"libavcodec", "libswscale"} < set(VideoReader(8, 8).policy["libraries"])
