"""Backward warping by optical flow, and where it has no meaning."""

import torch
import torch.nn.functional as F
from torch import Tensor


def landing(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where pixels go: x and y, ... H W each, with pixel centres at whole numbers.

    Args:
        flow: ... 2 H W in pixels, x then y.
    """
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    return flow[..., 0, :, :] + x, flow[..., 1, :, :] + y


def in_frame(flow: Tensor) -> Tensor:
    """Bool ... H W: the pixel lands between pixel centres of the other frame, so that it can be compared."""
    height, width = flow.shape[-2:]
    x, y = landing(flow)
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image` sampled where the flow leads, bilinearly; outside of it the nearest border. Exact for whole pixels.

    Args:
        image: float N C H W.
        flow: N 2 H W in pixels, x then y.
    """
    height, width = flow.shape[-2:]
    x, y = landing(flow.to(image.dtype))
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    right_share, bottom_share = (x - left)[:, None], (y - top)[:, None]
    flat = image.flatten(2)  # N C H*W

    def at(column: Tensor, row: Tensor) -> Tensor:
        place = row.long().clamp_max(height - 1) * width + column.long().clamp_max(width - 1)  # N H W
        return flat.gather(2, place.flatten(1)[:, None].expand(-1, image.shape[1], -1)).reshape(image.shape)

    upper = torch.lerp(at(left, top), at(left + 1, top), right_share)
    lower = torch.lerp(at(left, top + 1), at(left + 1, top + 1), right_share)
    return torch.lerp(upper, lower, bottom_share)


def occluded(there: Tensor, back: Tensor) -> Tensor:
    """Pixels that the other frame does not show, by the rule of Lai et al. 2018 (after Ruder et al. 2016).

    A pixel is occluded if the flow back from where it lands does not return to it,
    |back(p + there) + there|^2 > 0.01 (|there|^2 + |back(p + there)|^2) + 0.5, or if it lies on a motion boundary,
    |grad u|^2 + |grad v|^2 > 0.01 |there|^2 + 0.002 with forward differences.

    Args:
        there: N 2 H W in pixels, from this frame to the other.
        back: N 2 H W, from the other frame to this one.

    Returns:
        Bool N H W. Pixels that leave the frame are judged by `in_frame`.
    """
    returned = warp(back, there)
    gap = (there + returned).square().sum(dim=1)
    length = there.square().sum(dim=1)
    lost = gap > 0.01 * (length + returned.square().sum(dim=1)) + 0.5
    across = F.pad(there.diff(dim=3), (0, 1)).square().sum(dim=1)
    down = F.pad(there.diff(dim=2), (0, 0, 0, 1)).square().sum(dim=1)
    return lost | (across + down > 0.01 * length + 0.002)
