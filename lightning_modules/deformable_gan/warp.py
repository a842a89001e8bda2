"""Deformable skip connections: features of the given pose brought where the wanted pose has them (paper, section 3.1).

No copy of a feature map is made per region. Where each pixel of each region is taken from is a table of row numbers;
one pass over it takes the largest (or adds up) what the regions offer.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.deformable_gan.regions import Regions

Aggregate = Literal["max", "avg", "none"]
Sampling = Literal["nearest", "bilinear"]
MaskFrame = Literal["target", "source"]
SPARSE = ("cpu",)  # devices on which zeros are left out of the table


def warp(
    features: Tensor,
    regions: Regions,
    aggregate: Aggregate = "max",
    sampling: Sampling = "nearest",
    masks_of: MaskFrame = "target",
) -> Tensor:
    """Features at any level of the network, deformed region by region.

    A map's shifts are divided by the ratio of the sizes, its linear part stays. Pixels outside the map and outside a
    region's mask count as zero, also in the maximum; masks are resized to the nearest pixel.

    Args:
        features: N C h w; the masks' height must be a multiple of h, their width the same of w.
        regions: of the N pairs of poses.
        aggregate: `max` over the regions; `avg`, the sum divided by how many masks are there (0 where none is);
            `none`, every region's own, one after the other: N R*C h w.
        sampling: `nearest` (official; halves are rounded away from zero), or `bilinear`.
        masks_of: whether masks are those of the result (official) or of `features` (the paper).

    Returns:
        N C h w.
    """
    n, c, h, w = features.shape
    step = regions.masks.shape[-2] // h
    masks = regions.masks[..., ::step, ::step].movedim(1, -1)  # N h w R
    rows = F.pad(features.movedim(1, -1).reshape(n * h * w, c), (0, 0, 0, 1))  # the last one is zero
    if sampling == "nearest" and aggregate != "none":
        out = _pooled(rows, regions.maps, masks, step, aggregate, masks_of).reshape(n, h, w, c)
    else:
        x, y = _sources(regions.maps, h, w, step)
        if sampling == "nearest":
            offered = rows[_rows(_round(x), _round(y), masks, masks_of)]  # N h w R C
        else:
            offered = _bilinear(rows, x, y, masks, masks_of)
        if aggregate == "none":
            return offered.permute(0, 3, 4, 1, 2).reshape(n, -1, h, w)
        out = offered.amax(-2) if aggregate == "max" else offered.sum(-2)
    out = out.movedim(-1, 1)  # N C h w
    return out / masks.sum(-1)[:, None].clamp_min(1) if aggregate == "avg" else out


def _pooled(rows: Tensor, maps: Tensor, masks: Tensor, step: int, aggregate: Aggregate, masks_of: MaskFrame) -> Tensor:
    """Pixels x C: the largest, or the sum, of the nearest rows of all regions."""
    n, h, w, r = masks.shape
    zero, mode = n * h * w, "max" if aggregate == "max" else "sum"
    x, y = _sources(maps, h, w, step)
    table = _rows(_round(x), _round(y), masks, masks_of).reshape(zero, r)
    if table.device.type not in SPARSE:
        return F.embedding_bag(table, rows, mode=mode)
    # Most entries are zeros of the masks. Leaving them out pays on a CPU; a GPU would have to tell how many are left.
    there = table != zero
    counts = there.sum(1)
    out = F.embedding_bag(table[there], rows, counts.cumsum(0) - counts, mode=mode)
    return torch.where((counts < r)[:, None], out.clamp_min(0), out) if aggregate == "max" else out


def _sources(maps: Tensor, h: int, w: int, step: int) -> tuple[Tensor, Tensor]:
    """Where pixels are taken from, x and y, each N h w R; in float32, as the official layer computes them."""
    ys = torch.arange(h, device=maps.device, dtype=maps.dtype)[:, None, None]
    xs = torch.arange(w, device=maps.device, dtype=maps.dtype)[:, None]
    a0, a1, a2, b0, b1, b2 = maps[:, None, None].unbind(-1)  # each N 1 1 R
    return a0 * xs + a1 * ys + a2 / step, b0 * xs + b1 * ys + b2 / step


def _round(at: Tensor) -> Tensor:
    """Halves away from zero."""
    return torch.where(at < 0, at - 0.5, at + 0.5).trunc()


def _rows(x: Tensor, y: Tensor, masks: Tensor, masks_of: MaskFrame) -> Tensor:
    """int64 N h w R: rows of the pixels at whole x and y, that of zeros outside image or mask."""
    n, h, w, _ = masks.shape
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    at = torch.where(inside, y * w + x, 0.0).long()
    if masks_of == "source":
        masks = masks.flatten(1, 2).gather(1, at.flatten(1, 2)).reshape(masks.shape)
    first = torch.arange(n, device=x.device)[:, None, None, None] * (h * w)
    return torch.where(inside & masks, first + at, n * h * w)


def _bilinear(rows: Tensor, x: Tensor, y: Tensor, masks: Tensor, masks_of: MaskFrame) -> Tensor:
    """N h w R C, zeros outside the image, which weigh at its border."""
    left, top = x.floor(), y.floor()
    right, low = x - left, y - top  # the weights of the pixels to the right and below
    corners = (
        (left, top, (1 - right) * (1 - low)),
        (left + 1, top, right * (1 - low)),
        (left, top + 1, (1 - right) * low),
        (left + 1, top + 1, right * low),
    )
    parts = [rows[_rows(at_x, at_y, masks, masks_of)] * weight[..., None] for at_x, at_y, weight in corners]
    return torch.stack(parts).sum(0)
