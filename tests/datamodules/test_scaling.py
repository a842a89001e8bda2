from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from datamodules.reading.scaling import RESIZE, Place, Scaler, place
from datamodules.video_reader import VideoReader
from tests.datamodules.video_files import with_matrix, write_video

RED = (224, 32, 16)


def flat(colour: tuple[int, ...], height: int = 64, width: int = 64, frames: int = 2) -> np.ndarray:
    return np.full((frames, height, width, len(colour)), colour, dtype=np.uint8)


def scaled(picture: np.ndarray, height: int, width: int, channels: int = 3) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return Scaler(height, width, channels, "squash", "black", Fraction(1))(frame)


def shares(many: int, few: int) -> np.ndarray:
    """few x many: how much of each old pixel a new one covers, over its own size."""
    edges = np.arange(few + 1)[:, None] * many / few
    covered = np.minimum(edges[1:], np.arange(1, many + 1)) - np.maximum(edges[:-1], np.arange(many))
    return np.clip(covered, 0, None) * few / many


@pytest.mark.parametrize(("height", "width"), [(20, 30), (24, 40), (7, 11), (60, 90)])
def test_area_is_the_mean_of_the_pixels_that_a_new_one_covers(height: int, width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    exact = np.einsum("ih,hwc,jw->ijc", shares(60, height), noise, shares(90, width))
    assert np.abs(scaled(noise, height, width) - exact).max() <= 0.6  # rounded, from weights of 14 bits
    grey = scaled(noise, height, width, channels=1)[..., 0]
    assert grey.shape == (height, width) and np.abs(grey - exact @ [0.299, 0.587, 0.114]).max() < 2


@pytest.mark.parametrize(
    ("fit", "aspect", "expected"),
    [
        ("squash", 1, Place(40, 40, 0, 0)),
        ("crop", 1, Place(40, 80, 0, 20)),
        ("pad", 1, Place(20, 40, -10, 0)),
        ("crop", Fraction(1, 2), Place(40, 40, 0, 0)),  # 200 x 200 as shown
        ("pad", Fraction(1, 4), Place(40, 20, 0, -10)),
        ("crop", Fraction(1, 4), Place(80, 40, 20, 0)),
    ],
)
def test_where_a_picture_of_100_x_200_pixels_lies_in_40_x_40(fit: str, aspect: Fraction, expected: Place) -> None:
    assert place(40, 40, 100, 200, Fraction(aspect), fit) == expected  # type: ignore[arg-type]


def test_cropped_and_padded_frames(tmp_path: Path) -> None:
    video = np.zeros((2, 32, 64, 3), dtype=np.uint8)
    video[:, :, 16:48] = 200  # the middle square
    path = write_video(tmp_path / "a.mkv", video, codec="ffv1", pixels="bgr0")
    assert (VideoReader(32, 32, fit="crop").read(path) == 200).all()
    padded = VideoReader(32, 32, fit="pad").read(path)
    assert (padded[:, 8:24, 9:23] == 200).all() and padded[:, :8].max() == padded[:, 24:].max() == 0
    assert VideoReader(32, 32).read(path)[:, :, 9:23].min() == 200


def test_pixels_that_are_not_square_count_with_their_width(tmp_path: Path) -> None:
    video = np.zeros((2, 64, 32, 3), dtype=np.uint8)
    video[:, 16:48] = 200
    path = write_video(tmp_path / "a.mp4", video, pixels="yuv444p", aspect=Fraction(4, 1), options={"qp": "0"})
    # 128 x 64 as shown: a crop to the square keeps the middle half of the columns and all rows
    cropped = VideoReader(64, 64, fit="crop").read(path)
    assert np.abs(cropped[:, 20:44].astype(int) - 200).max() <= 2 and cropped[:, :12].max() <= 2
    padded = VideoReader(64, 64, fit="pad").read(path)  # 64 x 32: black rows above and below
    assert padded[:, :16].max() == 0 and np.abs(padded[:, 28:36].astype(int) - 200).max() <= 2


@pytest.mark.parametrize(
    ("height", "matrix", "wrong"),
    [(64, None, (207, 13, 19)), (720, None, None), (64, 1, None)],  # as the two matrices give in exact arithmetic
    ids=["untagged, small", "untagged, 720 lines", "tagged"],
)
def test_bt709_colours(tmp_path: Path, height: int, matrix: int | None, wrong: tuple[int, int, int] | None) -> None:
    """BT.709 red is right where the file says so or is of HD height; a small untagged file counts as BT.601."""
    path = tmp_path / "a.mp4"
    video = flat(RED, height)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = height, 64, "yuv420p"
        if matrix:
            stream.codec_context.colorspace = matrix
        for picture in video:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", dst_colorspace=1)
            frame.colorspace = matrix or 2
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    got = VideoReader(16, 16).read(path)[0, 8, 8]
    assert np.abs(got.astype(int) - (wrong or RED)).max() <= 2


def test_white_stays_white(tmp_path: Path) -> None:
    """Without full chroma interpolation swscale makes 253 of it."""
    path = write_video(tmp_path / "a.mp4", flat((255, 255, 255)), options={"qp": "0"})
    for size in (64, 32, 20):
        assert VideoReader(size, size).read(path).min() == 255
        assert VideoReader(size, size, channels=1).read(path).min() == 255


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 1),
        (0, 1, -1, 0),
        (-1, 0, 0, -1),
        (0, -1, 1, 0),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_frames_are_turned_as_the_file_asks(tmp_path: Path, matrix: tuple[int, int, int, int], fit: str) -> None:
    noise = np.kron(np.random.default_rng(0).integers(0, 256, (2, 6, 8, 1)), np.ones((1, 8, 8, 3))).astype(np.uint8)
    whole = write_video(tmp_path / "whole.mp4", noise, pixels="yuv444p", options={"qp": "0"})
    path = with_matrix(whole, tmp_path / "a.mp4", *matrix)
    a, b, c, d = matrix
    stored = VideoReader(48, 64).read(whole)
    ys, xs = np.mgrid[0:48, 0:64]
    x, y = a * xs + c * ys, b * xs + d * ys
    x, y = x - x.min(), y - y.min()
    expected = np.empty((2, y.max() + 1, x.max() + 1, 3), dtype=np.uint8)
    expected[:, y, x] = stored
    height, width = expected.shape[1:3]
    got = VideoReader(height, width, fit=fit).read(path)  # type: ignore[arg-type]
    np.testing.assert_array_equal(got, expected)


def test_pixels_that_are_not_square_are_turned_with_their_frame(tmp_path: Path) -> None:
    video = np.zeros((2, 64, 32, 3), dtype=np.uint8)
    video[:, :, 8:24] = 200
    whole = write_video(tmp_path / "whole.mp4", video, pixels="yuv444p", aspect=Fraction(4, 1), options={"qp": "0"})
    # Shown as 128 x 64, turned to 64 x 128: a crop to the square keeps the middle half of the rows, all of it bright.
    turned = VideoReader(64, 64, fit="crop").read(with_matrix(whole, tmp_path / "a.mp4", 0, 1, -1, 0))
    assert np.abs(turned[:, 3:-3].astype(int) - 200).max() <= 2


def test_a_matrix_that_is_no_quarter_turn_is_said(tmp_path: Path) -> None:
    path = with_matrix(write_video(tmp_path / "whole.mp4"), tmp_path / "a.mp4", 1, 1, -1, 1)
    reading = VideoReader(16, 16).open(path)
    assert sum(map(len, reading)) == 30
    assert "no turn by a multiple of 90 degrees" in reading.warnings[0]


def test_transparent_pixels(tmp_path: Path) -> None:
    video = flat((200, 100, 50, 128))
    video[:, :, 32:, 3] = 0
    path = write_video(tmp_path / "a.mov", video, codec="qtrle", pixels="argb")
    seen = {alpha: VideoReader(64, 64, alpha=alpha).read(path)[0, 10] for alpha in ("black", "white", "drop")}
    assert seen["black"][10].tolist() == [100, 50, 25] and seen["black"][50].tolist() == [0, 0, 0]
    assert seen["white"][10].tolist() == [227, 177, 152] and seen["white"][50].tolist() == [255, 255, 255]
    assert seen["drop"][10].tolist() == seen["drop"][50].tolist() == [200, 100, 50]


def test_colours_hidden_by_transparency_do_not_bleed(tmp_path: Path) -> None:
    video = flat((0, 0, 0, 255))
    video[:, :, 1::2] = (255, 255, 255, 0)  # every second column is hidden white
    path = write_video(tmp_path / "a.mov", video, codec="qtrle", pixels="argb")
    assert VideoReader(32, 32).read(path).max() == 0


def test_the_transparency_of_vp9_is_said_to_be_lost(tmp_path: Path) -> None:
    options = {"cpu-used": "8", "deadline": "realtime"}
    path = write_video(tmp_path / "a.webm", flat((9, 9, 9, 50)), "libvpx-vp9", "yuva420p", options=options)
    reading = VideoReader(16, 16).open(path)
    assert sum(map(len, reading)) == 2 and "its transparency is not decoded" in reading.warnings[0]


def test_the_shared_reformatter_gives_what_a_new_one_for_each_frame_gives(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with av.open(str(path)) as file:
        alone = [
            VideoReformatter().reformat(f, 40, 30, "rgb24", interpolation=RESIZE, threads=1).to_ndarray()
            for f in file.decode(video=0)
        ]
    np.testing.assert_array_equal(VideoReader(30, 40).read(path), np.stack(alone))
