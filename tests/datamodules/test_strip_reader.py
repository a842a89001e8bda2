import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.bad_files import BadFile, DroppedFile
from datamodules.strip_reader import Resize, StripReader
from tests.datamodules.strip_files import noise_video, save_strip, strip_of

VIDEO = noise_video(0, frames=5)


@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize(("name", "format"), [("a.png", "PNG"), ("a.jpg", "PNG"), ("a.png", "BMP"), ("a", "PPM")])
def test_frames_come_out_as_they_went_in(tmp_path: Path, name: str, format: str, vertical: bool) -> None:
    save_strip(tmp_path / name, VIDEO, format, vertical)
    reader = StripReader(8, 8)
    assert reader.count(tmp_path / name) == 5
    frames = reader.read(tmp_path / name)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, VIDEO)


def test_jpeg_is_read_too(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 5 * 8 * 8 * 3).reshape(5, 8, 8, 3).astype(np.uint8)
    save_strip(tmp_path / "a.png", smooth, "JPEG")
    frames = StripReader(8, 8).read(tmp_path / "a.png")
    assert np.abs(frames.astype(int) - smooth).mean() < 8 and not np.array_equal(frames, smooth)


def test_alpha_is_cut_and_not_blended(tmp_path: Path) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (8, 40), dtype=np.uint8)
    strip = strip_of(VIDEO)
    strip.putalpha(Image.fromarray(alpha))
    strip.save(tmp_path / "a.png")
    np.testing.assert_array_equal(StripReader(8, 8).read(tmp_path / "a.png"), VIDEO)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_and_palette_become_rgb(tmp_path: Path, mode: str) -> None:
    strip = strip_of(VIDEO).convert(mode)
    strip.save(tmp_path / "a.png")
    frames = StripReader(8, 8).read(tmp_path / "a.png")
    grey = np.asarray(strip_of(VIDEO).convert("L"))
    match mode:
        case "L" | "LA":
            expected = np.repeat(grey[..., None], 3, axis=2)
        case "1":
            expected = np.repeat(255 * np.asarray(strip).astype(np.uint8)[..., None], 3, axis=2)
        case _:
            palette = np.array(strip.getpalette(), dtype=np.uint8).reshape(-1, 3)
            expected = palette[np.asarray(strip)]
    np.testing.assert_array_equal(np.concatenate(list(frames), axis=1), expected)


def test_a_transparent_palette_keeps_its_colours(tmp_path: Path) -> None:
    strip = strip_of(VIDEO).quantize(16)
    strip.save(tmp_path / "a.png", transparency=0)
    frames = StripReader(8, 8).read(tmp_path / "a.png")
    np.testing.assert_array_equal(np.concatenate(list(frames), axis=1), np.asarray(strip.convert("RGB")))


def test_more_than_eight_bits_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 40), 40_000, dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(BadFile, match="mode I;16 has more than 8 bits"):
        StripReader(8, 8).read(tmp_path / "a.png")


KERNELS = {"area": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR}


@pytest.mark.parametrize("resize", ["area", "bilinear"])
@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (3, 11), (13, 13), (8, 4)])
def test_each_frame_is_resized_by_itself(tmp_path: Path, resize: Resize, vertical: bool, size: tuple[int, int]) -> None:
    save_strip(tmp_path / "a.png", VIDEO, vertical=vertical)
    height, width = size
    frames = StripReader(height, width, resize).read(tmp_path / "a.png")
    alone = [np.asarray(Image.fromarray(frame).resize((width, height), KERNELS[resize])) for frame in VIDEO]
    # Where one side grows and the other shrinks, Pillow may begin with the height; the rounding between the two passes
    # then falls on other values.
    away = 1 if (height < 8 < width) else 0
    np.testing.assert_allclose(frames.astype(int), np.stack(alone).astype(int), rtol=0, atol=away)


@pytest.mark.parametrize("vertical", [False, True])
def test_the_official_rule_resizes_the_strip_and_so_mixes_neighbours(tmp_path: Path, vertical: bool) -> None:
    video = np.zeros((3, 16, 16, 3), dtype=np.uint8)
    video[1] = 255
    save_strip(tmp_path / "a.png", video, vertical=vertical)
    mixed = StripReader(8, 8, "bilinear_strip").read(tmp_path / "a.png")
    size = (8, 24) if vertical else (24, 8)
    strip = np.asarray(strip_of(video, vertical).resize(size, Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(np.concatenate(list(mixed), axis=0 if vertical else 1), strip)
    apart = StripReader(8, 8, "bilinear").read(tmp_path / "a.png")
    np.testing.assert_array_equal(apart, video[:, :8, :8])
    border = mixed[0, -1, :] if vertical else mixed[0, :, -1]
    assert border.min() > 0 and mixed[0, :7, :7].max() == 0


def test_frames_that_are_not_square_need_their_width(tmp_path: Path) -> None:
    video = noise_video(1, frames=5, height=8, width=6)  # 30 x 8
    save_strip(tmp_path / "a.png", video)
    reader = StripReader(8, 6, frame_width=6)
    assert reader.count(tmp_path / "a.png") == 5
    np.testing.assert_array_equal(reader.read(tmp_path / "a.png"), video)
    with pytest.raises(BadFile, match=r"30x8 pixels are no whole number of frames of 8 pixels; .*frame_width"):
        StripReader(8, 6).count(tmp_path / "a.png")
    with pytest.raises(BadFile, match=r"30x8 pixels are no whole number of frames of 7 pixels$"):
        StripReader(8, 6, frame_width=7).count(tmp_path / "a.png")


def test_tall_frames_side_by_side(tmp_path: Path) -> None:
    video = noise_video(2, frames=2, height=20, width=6)  # 12 x 20: by itself it would be taken for vertical
    save_strip(tmp_path / "a.png", video)
    np.testing.assert_array_equal(StripReader(20, 6, frame_width=6).read(tmp_path / "a.png"), video)


@pytest.mark.parametrize("step", ["count", "read"])
def test_short_videos_are_dropped(tmp_path: Path, step: str) -> None:
    save_strip(tmp_path / "a.png", VIDEO)
    assert StripReader(8, 8, min_frames=5).count(tmp_path / "a.png") == 5
    with pytest.raises(DroppedFile, match="5 frames, fewer than min_frames=6"):
        getattr(StripReader(8, 8, min_frames=6), step)(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"not an image that Pillow knows \(0 bytes\)"),
        (b"I am text", r"not an image that Pillow knows \(9 bytes\)"),
        (bytes(range(256)), r"not an image that Pillow knows \(256 bytes\)"),
        (b"\x89PNG\r\n\x1a\n", "not an"),
    ],
)
@pytest.mark.parametrize("step", ["count", "read"])
def test_what_is_no_image_says_so(tmp_path: Path, content: bytes, reason: str, step: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BadFile, match=reason):
        getattr(StripReader(8, 8), step)(tmp_path / "a.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
def test_a_truncated_strip_is_found_when_it_is_read(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a.png"
    save_strip(path, noise_video(0, frames=40), format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match=r"not a readable image: .*truncated|not a readable image: .*broken"):
        StripReader(8, 8).read(path)


def test_every_damage_of_a_png_gives_frames_or_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_strip(path, VIDEO)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert StripReader(8, 8).read(path).shape[1:] == (8, 8, 3)
        except BadFile:
            refused += 1
    assert refused > 100


def test_missing_and_forbidden_files_give_the_system_s_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadFile, match="not a readable image: No such file or directory"):
        StripReader(8, 8).count(tmp_path / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadFile, match="not a readable image: Is a directory"):
        StripReader(8, 8).count(tmp_path / "folder.png")

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(BadFile, match="not a readable image: Permission denied"):
        StripReader(8, 8).count(tmp_path / "a.png")


def test_a_strip_longer_than_pillow_s_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_strip(tmp_path / "a.png", VIDEO)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # refuses 200 pixels, as the true limit does 179 million
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "a.png")
    reader = StripReader(8, 8)
    assert reader.count(tmp_path / "a.png") == 5
    np.testing.assert_array_equal(reader.read(tmp_path / "a.png"), VIDEO)
    assert Image.MAX_IMAGE_PIXELS == 100  # the program's limit is as it was


def test_whatever_decides_the_pixels_is_in_the_policy() -> None:
    readers = [
        StripReader(8, 8),
        StripReader(9, 8),
        StripReader(8, 9),
        StripReader(8, 8, "bilinear"),
        StripReader(8, 8, frame_width=8),
        StripReader(8, 8, min_frames=2),
    ]
    assert len({repr(reader.policy) for reader in readers}) == len(readers)
    assert readers[0].policy["pillow"] == Image.__version__ and readers[0].policy["libjpeg"]
