"""Pictures, maps and points of a frame stay on each other, whatever is cut out and however it is scaled."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from datamodules.bad_files import BadFile
from datamodules.frame_sets.view import Box, View
from datamodules.reading.scaling import Fit, Scaler

SOURCE = (48, 80)  # height, width
BOXES = [Box(0, 48, 0, 80), Box(8, 40, 16, 80), Box(-12, 52, -8, 56), Box(10, 74, 30, 110)]


def view(height: int, width: int, fit: Fit = "squash", box: Box | None = None, size: tuple[int, int] = SOURCE) -> View:
    return View(Scaler(height, width, 3, fit, "drop", Fraction(1)), size, box or Box.whole(size))


def nearest_slowly(values: np.ndarray, at: View) -> np.ndarray:
    """Every new pixel's centre, carried back to the source."""
    out = np.zeros((at.height, at.width), values.dtype)
    for y in range(at.height):
        for x in range(at.width):
            row = (y + at.place.top + 0.5) * at.rows / at.place.height + at.box.top
            column = (x + at.place.left + 0.5) * at.columns / at.place.width + at.box.left
            in_box = at.box.top <= row < at.box.bottom and at.box.left <= column < at.box.right
            if in_box and 0 <= row < values.shape[0] and 0 <= column < values.shape[1]:
                out[y, x] = values[int(row), int(column)]
    return out


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [(24, 40), (20, 20), (64, 32)])
def test_maps_are_resized_to_the_nearest(fit: Fit, box: Box, size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(1, 60000, SOURCE, dtype=np.int32)
    at = view(*size, fit, box)
    np.testing.assert_array_equal(at.nearest(values, "map"), nearest_slowly(values, at))


def test_nearest_is_pillows_where_all_is_shown() -> None:
    values = np.random.default_rng(1).integers(0, 255, SOURCE, dtype=np.uint8)
    for height, width in ((24, 40), (17, 33), (96, 160)):
        expected = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(view(height, width).nearest(values, "map"), expected)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("box", BOXES)
def test_points_stay_on_what_they_mark(fit: Fit, box: Box) -> None:
    """A lit square moves with the key-point in its middle, in the picture and in the map."""
    found = 0
    for y, x in ((12, 20), (30, 50), (24, 36), (44, 70)):
        source = np.zeros((*SOURCE, 3), dtype=np.uint8)
        source[y - 3 : y + 4, x - 3 : x + 4] = 255
        at = view(32, 40, fit, box)
        point = at.points(np.array([[x, y, 0.7]], np.float32))[0]
        picture = at.picture(source)[..., 0].astype(float)
        mark = at.nearest((source[..., 0] > 0).astype(np.uint8), "map").astype(float)
        inside = 3 < point[0] < 36 and 3 < point[1] < 28
        if not point[2] or not inside:
            continue
        found += 1
        for image, slack in ((picture, 0.1), (mark, 0.6)):
            rows, columns = np.nonzero(image > 0)
            weight = image[rows, columns] / image.sum()
            assert abs((rows * weight).sum() - point[1]) < slack and abs((columns * weight).sum() - point[0]) < slack
    assert found >= 2


def test_pictures_are_averaged() -> None:
    source = np.random.default_rng(2).integers(0, 256, (*SOURCE, 3), dtype=np.uint8)
    mean = source.reshape(12, 4, 20, 4, 3).mean((1, 3))
    assert np.abs(view(12, 20).picture(source) - mean).mean() < 1.0  # swscale's colour conversion rounds
    np.testing.assert_array_equal(view(*SOURCE).picture(source), source)


def test_a_point_outside_is_missing_unless_it_is_asked_for() -> None:
    at = view(32, 32, box=Box(0, 48, 40, 80))
    joints = np.array([[39, 10, 1], [40, 10, 1], [79, 47, 1], [50, 10, 0]], np.float32)
    assert (at.points(joints)[:, 2] > 0).tolist() == [False, True, True, False]
    kept = at.points(joints, outside=True)
    assert kept[0, 0] == pytest.approx((39 - 40 + 0.5) * 32 / 40 - 0.5) and not kept[3].any()


def test_points_of_a_larger_picture_of_the_same_frame() -> None:
    at = view(256, 512, size=(512, 1024))
    point = at.points(np.array([[959.5, 539.5, 1]]), size=(1080, 1920))[0]
    assert point.tolist() == [255.5, 127.5, 1]  # the middle stays the middle


def test_boxes_are_scaled_and_cut() -> None:
    at = view(256, 512, size=(512, 1024))
    assert at.edges(np.array([11, 139, 504, 632]), (512, 1024)).tolist() == [5.5, 69.5, 252, 316]
    part = view(32, 32, box=Box(0, 48, 40, 80))
    assert part.edges(np.array([0, 48, 0, 60]), SOURCE).tolist() == [0, 32, 0, 16]
    assert not part.edges(np.array([0, 48, 0, 40]), SOURCE).any()


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(BadFile, match=r"a\.png has 40x24 pixels, but its frame has 80x48"):
        view(24, 40).nearest(np.zeros((24, 40), np.uint8), "a.png")
