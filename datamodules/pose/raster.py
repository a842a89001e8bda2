"""Filled discs and ellipses, pixel by pixel those that OpenCV draws without anti-aliasing, for many frames at once.

Drawn shapes are sets of pixels: `Pixels`, three int64 arrays (shape's number, y, x), each pixel of a shape once.
"""

import numpy as np

Pixels = tuple[np.ndarray, np.ndarray, np.ndarray]

# Sine and cosine of whole degrees with seven decimals, as OpenCV tabulates them.
_SIN = np.round(np.sin(np.radians(np.arange(361))), 7).astype(np.float32).astype(np.float64)
_COS = np.round(np.cos(np.radians(np.arange(361))), 7).astype(np.float32).astype(np.float64)


def discs(centres: np.ndarray, radius: int) -> Pixels:
    """Pixels at most `radius` from whole-numbered centres (N 2: x, y); may lie outside the image."""
    dy, dx = np.nonzero(np.add.outer(*(np.arange(-radius, radius + 1) ** 2,) * 2) <= radius**2)
    shape = np.repeat(np.arange(len(centres)), len(dy))
    y = (centres[:, 1, None] + dy - radius).reshape(-1)
    x = (centres[:, 0, None] + dx - radius).reshape(-1)
    return shape, y, x


def ellipses(centres: np.ndarray, axes: np.ndarray, degrees: np.ndarray) -> Pixels:
    """Filled ellipses: the polygon of 361 vertices, one a degree and rounded to pixels, with its outline.

    Args:
        centres: N 2 (x, y) whole numbers.
        axes: N 2 half-lengths, whole numbers; the first lies along the angle.
        degrees: N whole numbers, clockwise on the screen.
    """
    if not len(centres):
        none = np.zeros(0, dtype=np.int64)
        return none, none, none
    turn = np.mod(degrees, 360)
    along, across = axes[:, :1] * _COS, axes[:, 1:] * _SIN  # N 361
    cosine, sine = _COS[turn][:, None], _SIN[turn][:, None]
    x = np.rint(centres[:, :1] + along * cosine - across * sine).astype(np.int64)
    y = np.rint(centres[:, 1:] + along * sine + across * cosine).astype(np.int64)
    return _rows(*_outline(x, y))


def _outline(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N M each) of the closed polygons with vertices N V: Bresenham's lines, drawn from left to right."""
    start = np.stack([x, y], -1)
    end = np.roll(start, -1, axis=1)
    backwards = (end[..., 0] < start[..., 0])[..., None]
    start, end = np.where(backwards, end, start), np.where(backwards, start, end)
    way = end - start  # N V 2
    steps = np.abs(way).max(-1)  # along the longer side; the last step is the end
    i = np.minimum(np.arange(steps.max() + 1), steps[..., None])  # N V S
    # The outline's shorter side follows the true line, halves rounded down; the filling's left and right end are
    # rounded up, which adds a pixel where a steep line passes midway between two.
    twice = np.maximum(2 * steps, 1)[..., None, None]
    exact = 2 * np.abs(way)[..., None, :] * i[..., None] + steps[..., None, None]
    pixels = start[..., None, :] + np.sign(way)[..., None, :] * ((exact - 1) // twice)  # N V S 2
    steep = (np.abs(way[..., 1]) == steps)[..., None]
    midway = np.where(steep, start[..., :1] + (exact // twice)[..., 0], pixels[..., 0])
    x = np.stack([pixels[..., 0], midway])
    return x.swapaxes(0, 1).reshape(len(x[0]), -1), np.tile(pixels[..., 1].reshape(len(x[0]), -1), 2)


def _rows(x: np.ndarray, y: np.ndarray) -> Pixels:
    """All pixels between the leftmost and the rightmost one of each row of each shape (N M)."""
    shapes, top = len(x), y.min()
    rows = y.max() - top + 1
    row = (np.arange(shapes)[:, None] * rows + y - top).reshape(-1)
    left = np.full(shapes * rows, np.iinfo(np.int64).max)
    right = np.full(shapes * rows, np.iinfo(np.int64).min)
    np.minimum.at(left, row, x.reshape(-1))
    np.maximum.at(right, row, x.reshape(-1))
    drawn = np.flatnonzero(right >= left)
    width = right[drawn] - left[drawn] + 1
    row = np.repeat(drawn, width)
    within = np.arange(len(row)) - np.repeat(np.cumsum(width) - width, width)
    return row // rows, row % rows + top, np.repeat(left[drawn], width) + within
