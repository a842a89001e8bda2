import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from skimage import data
from skimage.feature import canny as reference

from datamodules.pose.canny import canny
from datamodules.pose.face_map import CHANNELS, face_map
from tests.datamodules.drawn_faces import landmarks, picture

WALL = np.full((120, 160, 3), 90, dtype=np.uint8)


def face(x: float = 80, y: float = 50, width: float = 60) -> np.ndarray:
    """68 3, all there."""
    return np.concatenate([landmarks(x, y, width), np.ones((68, 1))], 1)


@pytest.mark.parametrize("name", ["camera", "coins", "astronaut"])
def test_edges_equal_those_of_scikit_image(name: str) -> None:
    grey = np.asarray(Image.fromarray(getattr(data, name)()).convert("L"))
    np.testing.assert_array_equal(canny(grey), reference(grey))


def test_the_edge_of_a_square_and_of_nothing() -> None:
    assert not canny(np.zeros((20, 20), np.uint8)).any() and not canny(np.full((20, 20), 255, np.uint8)).any()
    grey = np.zeros((40, 40), np.uint8)
    grey[10:30, 10:30] = 200
    y, x = np.nonzero(canny(grey))
    assert {y.min(), x.min()} <= {9, 10} and {y.max(), x.max()} <= {29, 30}
    assert not canny(grey)[13:27, 13:27].any()


def test_curves_pass_through_their_points_and_nothing_else_is_drawn_on_a_plain_wall() -> None:
    points = face()
    drawn = face_map(points, WALL)[0] > 0
    y, x = np.nonzero(drawn)
    there = np.stack([x, y], -1) + 0.5
    assert cdist(points[:, :2], there).min(1).max() < 1.5  # every point has a drawn pixel
    # The outline's highest point: two thirds of the jaw's depth above the line of the ears.
    ears, chin = points[0, 1], points[:17, 1].max()
    assert abs(y.min() - (ears - (chin - ears) * 2 / 3)) <= 1.5 and abs(y.max() - chin) <= 1.5
    assert abs(x.min() - points[0, 0]) <= 1.5 and abs(x.max() - points[16, 0]) <= 1.5


def test_parabolas_run_through_three_points_at_a_time() -> None:
    points = face()
    points[17:22, :2] = [[20, 30], [30, 20], [40, 30], [50, 20], [60, 30]]  # a brow of two arcs
    brow = face_map(points, WALL)[3] == 0
    for x in range(22, 60, 3):
        middle = 30 if x < 40 else 50
        expected = 20 + (x - middle) ** 2 / 10
        rows = np.flatnonzero(brow[:, x])
        assert rows.min() - 1 <= expected <= rows.max() + 2


@pytest.mark.parametrize(("points", "channel"), [(range(17, 22), 3), (range(31, 36), 6), (range(22, 27), 4)])
def test_distances_are_counted_along_rows_and_columns(points: range, channel: int) -> None:
    alone = face()
    alone[[point for point in range(68) if point not in points], 2] = 0
    maps = face_map(alone, np.zeros((400, 600, 3), np.uint8))
    assert maps.shape == (CHANNELS, 400, 600) and CHANNELS == 15 and maps.dtype == np.uint8
    curve = np.argwhere(maps[0])  # nothing else is drawn, and the picture is plain
    grid = np.moveaxis(np.mgrid[:400:7, :600:7], 0, -1)
    far = cdist(grid.reshape(-1, 2), curve, "cityblock").min(1).reshape(grid.shape[:2])
    np.testing.assert_array_equal(maps[channel][::7, ::7], np.minimum(far // 3, 255))
    assert maps[channel].max() > 200 and (np.delete(maps, [0, channel], 0) == 255).all()


def test_edges_within_the_face_are_not_taken_from_the_picture() -> None:
    points = face()
    shown = picture(points[:, :2], 120, 160).copy()
    shown[45:50, 65:95] = 255  # a stripe on the face
    plain, striped = face_map(points, picture(points[:, :2], 120, 160)), face_map(points, shown)
    np.testing.assert_array_equal(striped, plain)
    assert (plain[0, :, :40] > 0).any()  # stripes of the wall
    nobody = face_map(np.zeros((68, 3)), shown)
    np.testing.assert_array_equal(nobody[0] > 0, canny(np.asarray(Image.fromarray(shown).convert("L"))))
    assert (nobody[1:] == 255).all()


def test_a_missing_point_costs_its_curves_only() -> None:
    points, whole = face(), face_map(face(), WALL)
    points[19] = 0  # of the right brow
    lacking = face_map(points, WALL)
    assert (lacking[3] == 255).all()
    np.testing.assert_array_equal(np.delete(lacking, [0, 3], 0), np.delete(whole, [0, 3], 0))


def test_a_turned_face_has_a_turned_outline() -> None:
    points = face()
    quarter = points.copy()
    quarter[:, 0], quarter[:, 1] = points[:, 1], 159 - points[:, 0]  # a quarter to the left
    upright, turned = (face_map(p, np.zeros((160, 160, 3), np.uint8))[0] > 0 for p in (points, quarter))
    y, x = np.nonzero(np.rot90(upright))
    assert cdist(np.argwhere(turned), np.stack([y, x], -1), "chebyshev").min(1).max() <= 2
