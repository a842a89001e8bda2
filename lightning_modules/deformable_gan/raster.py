"""Filled rectangles for a whole batch, with every pixel whose centre lies inside or on the edge."""

import torch
from torch import Tensor

CLOSE = 1e-6  # pixels: far above the rounding of a division, far below what separates two pixels


def fill_quads(corners: Tensor, wanted: Tensor, out: Tensor) -> None:
    """Convex quadrilaterals: the pixels of scikit-image's `grid_points_in_poly`, at a cost of rows, not of pixels.

    A row meets a convex region in one interval. Each edge bounds it by a division, whose rounding the sign of a cross
    product then corrects: it is exact in whole numbers, so a pixel on an edge is inside whatever the edge's slope.

    Args:
        corners: ... 4 2, float64 (x, y) in order around the region. One of no area covers the pixels that lie exactly
            between its first two corners.
        wanted: bool ..., False for those that cover nothing.
        out: bool ... H W, written to.
    """
    height, width = out.shape[-2:]
    y = torch.arange(height, device=corners.device, dtype=corners.dtype)  # H
    xa, ya = corners.movedim(-2, 0)[..., None].unbind(-2)  # each 4 ... 1
    xb, yb = xa.roll(-1, 0), ya.roll(-1, 0)
    area = (xa * yb - xb * ya).sum(0)  # ... 1, twice
    rise = (ya - yb) * area.sign()  # > 0: the edge bounds the row from the left
    level = rise == 0
    above, below = ya - y, yb - y  # 4 ... H
    at = xa + above / torch.where(ya == yb, 1.0, ya - yb) * (xb - xa)
    left = rise > 0
    pixel = torch.where(left, (at - CLOSE).ceil(), (at + CLOSE).floor())
    cross = (xa - pixel) * below - (xb - pixel) * above
    outside = cross * area.sign() < 0  # what the division let in, or, at a level edge, the whole row
    low = torch.where(left, pixel + outside, -torch.inf).amax(0)  # ... H
    high = torch.where(rise < 0, pixel - outside.to(pixel), torch.inf).amin(0)
    shut = (level & outside).any(0) | ~wanted[..., None]
    flat = area == 0
    between = (torch.minimum(above[0], below[0]) <= 0) & (torch.maximum(above[0], below[0]) >= 0)
    shut |= flat & ~(between & (cross[0] == 0))
    low = torch.where(flat, pixel[0], low).clamp(0, width)
    high = torch.where(flat, pixel[0], high).clamp(-1, width)
    _between(torch.where(shut, width, low), high, out)


def _between(low: Tensor, high: Tensor, out: Tensor) -> None:
    """Pixels with low <= x <= high; ends ... H in -1..width."""
    x = torch.arange(out.shape[-1], device=low.device, dtype=torch.int16)
    torch.ge(x, low[..., None].short(), out=out)
    out &= x <= high[..., None].short()


def fill_boxes(low: Tensor, high: Tensor, wanted: Tensor, out: Tensor) -> None:
    """Upright rectangles from `low` to before `high`.

    Args:
        low, high: ... 2, whole numbers (x, y).
        wanted: bool ..., False for those that cover nothing.
        out: bool ... H W, written to.
    """
    y, x = (torch.arange(size, device=low.device, dtype=low.dtype) for size in out.shape[-2:])
    across = (x >= low[..., :1]) & (x < high[..., :1]) & wanted[..., None]  # ... W
    down = (y >= low[..., 1:]) & (y < high[..., 1:])  # ... H
    torch.logical_and(down[..., :, None], across[..., None, :], out=out)
