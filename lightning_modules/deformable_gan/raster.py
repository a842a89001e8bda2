"""Filled rectangles for a whole batch, with every pixel whose centre lies inside or on the edge."""

import torch
from torch import Tensor

CLOSE = 1e-6  # pixels: far above the rounding of a division, far below what separates two pixels


def fill_quads(corners: Tensor, wanted: Tensor, out: Tensor) -> None:
    """Convex quadrilaterals: the pixels of scikit-image's `grid_points_in_poly`, at a cost of rows, not of pixels.

    A row meets a convex region in one interval. Each edge bounds it by a division, whose rounding the sign of a cross
    product then corrects: it is exact in whole numbers, so a pixel on an edge is inside whatever the edge's slope.

    Args:
        corners: R N 4 2, float64 (x, y) in order around the region. One of no area covers the pixels that lie exactly
            between its first two corners.
        wanted: bool R N, False for those that cover nothing.
        out: bool R N H W, contiguous, written to.
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
    high = torch.where(flat, pixel[0], high).clamp(-1, width - 1)
    _between(torch.where(shut, width, low), torch.where(shut, -1, high), out)


def _between(low: Tensor, high: Tensor, out: Tensor) -> None:
    """Pixels with low <= x <= high; `low` R ... H in 0..width, `high` in -1..width-1.

    Rows are copied from a table of what lies left of each end: no row is compared pixel by pixel, and of the size of
    the result nothing is allocated.
    """
    width = out.shape[-1]
    ends = torch.arange(width + 1, device=low.device)
    left_of = ends[:-1] < ends[:, None]  # width+1 width
    last = high.long() + 1
    first = torch.minimum(low.long(), last)
    buffer = torch.empty_like(out[0]).flatten(0, -2)
    for rows, begin, end in zip(out, first, last, strict=True):
        filled = rows.flatten(0, -2)  # a view: regions come first in memory
        torch.index_select(left_of, 0, end.flatten(), out=filled)
        filled ^= torch.index_select(left_of, 0, begin.flatten(), out=buffer)


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
