"""Canny's edges (A Computational Approach to Edge Detection, PAMI 1986), with the settings of scikit-image."""

import numpy as np
from scipy import ndimage

SIGMA, LOW, HIGH = 1.0, 0.1, 0.2  # pixels; gradients of pictures in [0, 1]


def canny(grey: np.ndarray) -> np.ndarray:
    """Thin edges where the brightness changes most, and their weaker continuations.

    Args:
        grey: uint8 H W.

    Returns:
        bool H W; the outermost pixels never are edges.
    """
    weight = ndimage.gaussian_filter(np.ones(grey.shape), SIGMA, mode="constant")  # outside the picture nothing counts
    smooth = ndimage.gaussian_filter(grey / 255, SIGMA, mode="constant") / weight
    dy, dx = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    strength = np.hypot(dy, dx)
    strong = np.where(_ridges(dy, dx, strength) & (strength >= LOW), strength, 0)
    labels, _ = ndimage.label(strong, np.ones((3, 3)))
    kept = np.zeros(labels.max() + 1, dtype=bool)
    kept[labels[strong >= HIGH]] = True
    kept[0] = False
    return np.asarray(kept[labels])


def _ridges(dy: np.ndarray, dx: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Where the gradient is no weaker than a step along it and a step against it, both interpolated: bool H W."""
    steep = np.abs(dy) >= np.abs(dx)  # then the step leads to the next row, else to the next column
    longer, shorter = np.where(steep, np.abs(dy), np.abs(dx)), np.where(steep, np.abs(dx), np.abs(dy))
    share = np.divide(shorter, longer, out=np.zeros_like(longer), where=longer > 0)  # of the diagonal neighbour
    down, right = np.where(dy < 0, -1, 1), np.where(dx < 0, -1, 1)
    row, column = np.indices(strength.shape)
    wide = np.pad(strength, 1)

    def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.asarray(wide[row + rows + 1, column + columns + 1])

    out = np.ones(strength.shape, dtype=bool)
    for way in (1, -1):
        straight = at(np.where(steep, way * down, 0), np.where(steep, 0, way * right))
        out &= strength >= straight * (1 - share) + at(way * down, way * right) * share
    out[[0, -1]] = False
    out[:, [0, -1]] = False
    return out
