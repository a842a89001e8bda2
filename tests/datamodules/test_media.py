import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.media import contact_sheet, read_video, replacing, write_lossless, write_mp4, write_png

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 64, 32), (250, 200, 10)]


def bars(size: int = 64, frames: int = 5) -> np.ndarray:
    """One colour bar in each eight columns, moving by a bar a frame: T H W C."""
    which = (np.arange(size) // 8 + np.arange(frames)[:, None]) % len(COLOURS)  # T W
    return np.array(COLOURS, np.uint8)[which][:, None].repeat(size, axis=1)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", bars(), fps=8)
    with av.open(tmp_path / "a.mp4") as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert stream.average_rate == 8
        assert (stream.frames, context.width, context.height) == (5, 128, 128)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # a browser shows it before all of it has come


def test_mp4_keeps_colours_and_pixels(tmp_path: Path) -> None:
    clip = bars()
    write_mp4(tmp_path / "a.mp4", clip)
    shown = read_video(tmp_path / "a.mp4")
    assert shown.shape == (5, 128, 128, 3)
    wanted = clip.repeat(2, axis=1).repeat(2, axis=2).astype(int)
    assert np.abs(shown - wanted).max() <= 6


def test_mp4_uses_the_bt709_matrix(tmp_path: Path) -> None:
    # ITU-R BT.709, limited range: Y = 16 + 219 (0.2126 R + 0.7152 G + 0.0722 B); BT.601 would give 81 for red.
    red = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0] = 255
    write_mp4(tmp_path / "a.mp4", red)
    with av.open(tmp_path / "a.mp4") as file:
        plane = next(file.decode(video=0)).planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:128, :128]
    assert abs(float(luma.mean()) - (16 + 219 * 0.2126)) < 1


@pytest.mark.parametrize(
    ("sides", "scaled"),
    [
        ((64, 64), 128),
        ((32, 48), 128),
        ((16, 16), 128),
        ((28, 28), 168),
        ((33, 40), 132),
        ((128, 144), 128),
        ((129, 130), 258),
    ],
)
def test_default_scale_gives_even_sides_of_128_or_more(tmp_path: Path, sides: tuple[int, int], scaled: int) -> None:
    write_mp4(tmp_path / "a.mp4", noise(2, *sides, 3))
    shown = read_video(tmp_path / "a.mp4")
    assert shown.shape[1] == scaled
    assert shown.shape[1] * sides[1] == shown.shape[2] * sides[0]


def test_given_scale(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", noise(2, 64, 32, 3), scale=3)
    assert read_video(tmp_path / "a.mp4").shape == (2, 192, 96, 3)
    for scale in (3, 0, -2):
        with pytest.raises(BenchError, match="even sides"):
            write_mp4(tmp_path / "b.mp4", noise(2, 33, 32, 3), scale=scale)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4"]


def test_grey_clips(tmp_path: Path) -> None:
    clip = np.linspace(0, 255, 64 * 64).astype(np.uint8).reshape(1, 64, 64, 1)
    write_mp4(tmp_path / "a.mp4", clip, scale=2)
    shown = read_video(tmp_path / "a.mp4").astype(int)
    assert np.abs(shown - clip.repeat(2, axis=1).repeat(2, axis=2)).max() <= 3
    write_lossless(tmp_path / "a.mkv", clip)
    assert np.array_equal(read_video(tmp_path / "a.mkv"), clip)


def test_same_clip_same_bytes(tmp_path: Path) -> None:
    for write, kind in ((write_mp4, "mp4"), (write_lossless, "mkv")):
        for name in ("a", "b"):
            write(tmp_path / f"{name}.{kind}", noise(8, 64, 64, 3))
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_same_bytes_on_any_number_of_cores(tmp_path: Path) -> None:
    clip = noise(8, 256, 256, 3)
    write_mp4(tmp_path / "a.mp4", clip)
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        write_mp4(tmp_path / "b.mp4", clip)
    finally:
        os.sched_setaffinity(0, cores)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("shape", [(6, 64, 64, 3), (1, 17, 23, 3), (3, 33, 20, 1)])
def test_lossless_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    clip = noise(*shape)
    write_lossless(tmp_path / "a.mkv", clip, fps=30)
    assert np.array_equal(read_video(tmp_path / "a.mkv"), clip)


@pytest.mark.parametrize("write", [write_mp4, write_lossless])
@pytest.mark.parametrize(
    "clip",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, write: object, clip: np.ndarray) -> None:
    assert callable(write)
    with pytest.raises(BenchError, match="must be uint8 T H W C"):
        write(tmp_path / "a", clip)
    with pytest.raises(BenchError, match="fps must be at least 1, found 0"):
        write(tmp_path / "a", noise(2, 8, 8, 3), fps=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["mp4", "mkv", "png"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"what was there before")
    with replacing(path) as beside:
        beside.write_bytes(path.read_bytes())
    beside.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(BenchError, match=rf"cannot write .*a\.{kind}: No space left on device"):
        if kind == "mp4":
            write_mp4(path, noise(8, 64, 64, 3))
        elif kind == "mkv":
            write_lossless(path, noise(8, 64, 64, 3))
        else:
            write_png(path, noise(256, 256, 3))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"what was there before"


def test_what_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as beside:
        beside.write_text("half")
        beside.write_text(str(1 / 0))
    assert not list(tmp_path.iterdir())


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none\.mp4 cannot be read as a video"):
        read_video(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BenchError, match=r"text\.mp4 cannot be read as a video"):
        read_video(tmp_path / "text.mp4")


def test_contact_sheet_places_frames() -> None:
    clips = noise(3, 9, 4, 6, 3)
    sheet = contact_sheet(clips, rows=2, columns=3, gap=1)
    assert sheet.shape == (2 * 5 + 1, 3 * 7 + 1, 3)
    for row in range(2):
        for column, t in enumerate((0, 4, 8)):
            y, x = 1 + row * 5, 1 + column * 7
            assert np.array_equal(sheet[y : y + 4, x : x + 6], clips[row, t])
    assert (sheet[0] == 255).all()
    assert (sheet[-1] == 255).all()
    assert (sheet[:, 7] == 255).all()


def test_contact_sheet_of_less_than_asked() -> None:
    assert contact_sheet(noise(2, 3, 4, 4, 1), rows=8, columns=8, gap=0).shape == (8, 12, 1)
    with pytest.raises(BenchError, match="N T H W C"):
        contact_sheet(noise(0, 3, 4, 4, 3))
    with pytest.raises(BenchError, match="at least 1 row"):
        contact_sheet(noise(2, 3, 4, 4, 3), rows=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_exact(tmp_path: Path, channels: int) -> None:
    image = noise(20, 30, channels)
    write_png(tmp_path / "new" / "a.png", image)
    with Image.open(tmp_path / "new" / "a.png") as read:
        assert np.array_equal(np.asarray(read), image.repeat(3 // channels, axis=2))
    with pytest.raises(BenchError, match="uint8 H W C"):
        write_png(tmp_path / "b.png", image.astype(np.float32))
