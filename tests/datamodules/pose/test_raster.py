import cv2
import numpy as np

from datamodules.pose.raster import Pixels, discs, ellipses

SIDE = 400


def picture(shapes: Pixels, number: int) -> np.ndarray:
    """Shape `number` alone, counting each pixel."""
    shape, y, x = shapes
    drawn = np.zeros((SIDE, SIDE), np.int64)
    np.add.at(drawn, (y[shape == number], x[shape == number]), 1)
    return drawn


def test_discs_are_opencvs() -> None:
    centres = np.array([[100, 200], [37, 90]])
    for radius in range(20):
        shapes = discs(centres, radius)
        for number, (x, y) in enumerate(centres.tolist()):
            expected = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (x, y), radius, 1, -1)
            np.testing.assert_array_equal(picture(shapes, number), expected)


def test_ellipses_are_opencvs() -> None:
    rng = np.random.default_rng(0)
    number = 600
    centres = rng.integers(180, 220, (number, 2))
    axes = np.stack([rng.integers(0, 170, number), rng.integers(0, 9, number)], -1)
    axes[:100, 0] //= 20  # short ones
    degrees = rng.integers(-360, 361, number)
    shapes = ellipses(centres, axes, degrees)
    for i in range(number):
        outline = np.array(cv2.ellipse2Poly(centres[i].tolist(), axes[i].tolist(), int(degrees[i]), 0, 360, 1))
        expected = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), outline, 1)
        np.testing.assert_array_equal(picture(shapes, i), expected, err_msg=f"{centres[i]} {axes[i]} {degrees[i]}")


def test_nothing_is_drawn_of_nothing() -> None:
    none = np.zeros((0, 2), np.int64)
    for shapes in (discs(none, 3), ellipses(none, none, none[:, 0])):
        assert all(len(part) == 0 for part in shapes)
