"""Drawn digits: 28x28 like MNIST's, written with a round pen whose hand, slant and width vary. No file, no font."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datamodules.stream import keyed_rng
from datamodules.synthetic.glyph_strokes import STYLES, Stroke, Style

SIDE = 28
BOX = 20.0  # the longer side of what is written, as in MNIST
WIDTH = 0.72  # of the unit box: digits are taller than wide
JITTER = 0.045  # of each point of the pen's path, in units of the box's height
PEN = (0.95, 1.9)  # radius in pixels
SLANT = (-0.1, 0.4)  # shift to the right per unit of height
TILT = 0.07  # tangent of half the angle by which a glyph turns, at most
BREADTH = (0.75, 1.15)
DOTS = 96  # of the pen along a glyph; at most 0.7 pixels apart
PATCH = 6  # pixels that a dot can reach: 2 * (1.9 + 0.5) rounded up, and one for its place between pixels

# Only + - * / and square roots, which IEEE 754 rounds alike everywhere, and sums in a fixed order: the pixels, and with
# them the digest of a split, do not depend on the machine.


@lru_cache(maxsize=4)
def drawn_digits(count: int, *key: int | str) -> tuple[np.ndarray, np.ndarray]:
    """`count` glyphs that depend on nothing but `key` and their number.

    Returns:
        Images uint8 N 28 28 (white on black) and their digits int64 N, both read-only: they are shared between calls.
    """
    drawn = keyed_rng("glyphs", *key).random((count, 8 + 2 * _MOST_POINTS))  # one row a glyph
    digits = (drawn[:, 0] * len(STYLES)).astype(np.int64)
    images = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    for digit, styles in enumerate(STYLES):
        style = (drawn[:, 1] * len(styles)).astype(np.int64)
        for number, strokes in enumerate(styles):
            chosen = np.flatnonzero((digits == digit) & (style == number))
            images[chosen] = _written(strokes, drawn[chosen, 2:])
    images.setflags(write=False)
    digits.setflags(write=False)
    return images, digits


def _written(strokes: Style, drawn: np.ndarray) -> np.ndarray:
    """uint8 N 28 28: one style of one digit, N hands."""
    pen, slant, tilt, breadth, right, down = drawn[:, :6].T
    radius = _between(PEN, pen)
    template = np.array([point for stroke in strokes for point in stroke])  # P 2
    points = template + (2 * drawn[:, 6 : 6 + template.size].reshape(-1, *template.shape) - 1) * JITTER
    weights = _smooth_paths(strokes)  # DOTS P
    dots = np.zeros((len(drawn), DOTS, 2))
    for point in range(len(template)):
        dots += weights[:, point, None] * points[:, None, point]
    x, y = dots[..., 0] * WIDTH * _between(BREADTH, breadth)[:, None], dots[..., 1]
    x = x - y * _between(SLANT, slant)[:, None]
    half = ((2 * tilt - 1) * TILT)[:, None]
    cosine, sine = (1 - half**2) / (1 + half**2), 2 * half / (1 + half**2)
    x, y = cosine * x - sine * y, sine * x + cosine * y
    extent = np.maximum(np.ptp(x, axis=1), np.ptp(y, axis=1))
    scale = ((BOX - 2 * radius) / extent)[:, None]
    # In the middle, up to one pixel off: MNIST centres by mass, which moves the box.
    x = (x - (x.min(1) + x.max(1))[:, None] / 2) * scale + SIDE / 2 + (2 * right - 1)[:, None]
    y = (y - (y.min(1) + y.max(1))[:, None] / 2) * scale + SIDE / 2 + (2 * down - 1)[:, None]
    return _inked(x, y, radius)


def _inked(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Round dots of `radius` (N) pixels at x, y (N DOTS), the brighter one where they overlap: uint8 N 28 28."""
    images = np.zeros((len(x), SIDE, SIDE), dtype=np.uint8)
    windows = sliding_window_view(images, (PATCH, PATCH), axis=(1, 2), writeable=True)
    glyph, offsets = np.arange(len(x)), np.arange(PATCH) + 0.5  # centres of pixels
    left, top = (np.floor(at - PATCH / 2 + 0.5).astype(np.int64) for at in (x, y))
    for dot in range(x.shape[1]):
        dx = left[:, dot, None] + offsets - x[:, dot, None]  # N PATCH
        dy = top[:, dot, None] + offsets - y[:, dot, None]
        distance = np.sqrt(dx[:, None, :] ** 2 + dy[:, :, None] ** 2)
        ink = np.rint(255 * np.clip(radius[:, None, None] + 0.5 - distance, 0, 1)).astype(np.uint8)
        place = (glyph, top[:, dot], left[:, dot])
        windows[place] = np.maximum(windows[place], ink)
    return images


def _smooth_paths(strokes: Style) -> np.ndarray:
    """Weights DOTS P: where the pen's dots lie, as sums of the points of all strokes, by length of stroke."""
    lengths = [sum(_distance(a, b) for a, b in pairwise(s)) for s in strokes]
    ends = np.rint(np.cumsum(lengths) / sum(lengths) * DOTS).astype(int)
    weights = np.zeros((DOTS, sum(map(len, strokes))))
    first_dot = first_point = 0
    for stroke, end in zip(strokes, ends.tolist(), strict=True):
        points = len(stroke)
        weights[first_dot:end, first_point : first_point + points] = _catmull_rom(stroke, end - first_dot)
        first_dot, first_point = end, first_point + points
    return weights


def _catmull_rom(stroke: Stroke, dots: int) -> np.ndarray:
    """Weights `dots` P of a Catmull-Rom spline, which passes through its points; they are linear in the points."""
    chords = np.array([0.0, *(_distance(a, b) for a, b in pairwise(stroke))])
    at = np.interp(np.linspace(0, 1, dots) * chords.sum(), np.cumsum(chords), np.arange(len(stroke)))
    first = np.minimum(at.astype(int), len(stroke) - 2)
    u = at - first
    u2, u3 = u * u, u * u * u
    basis = (  # of the points before, at the start, at the end, and after
        (-u3 + 2 * u2 - u) / 2,
        (3 * u3 - 5 * u2 + 2) / 2,
        (-3 * u3 + 4 * u2 + u) / 2,
        (u3 - u2) / 2,
    )
    weights = np.zeros((dots, len(stroke)))
    for step, weight in enumerate(basis, start=-1):  # the first and the last point stand for those beyond the ends
        weights[np.arange(dots), np.clip(first + step, 0, len(stroke) - 1)] += weight
    return weights


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2))


def _between(ends: tuple[float, float], drawn: np.ndarray) -> np.ndarray:
    return ends[0] + (ends[1] - ends[0]) * drawn


_MOST_POINTS = max(sum(map(len, style)) for styles in STYLES for style in styles)
