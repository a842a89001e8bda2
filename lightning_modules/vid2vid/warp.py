"""Flow: moving pictures by it, where it can be trusted, and chains of it. Flows are in pixels, x then y."""

import torch
import torch.nn.functional as F
from torch import Tensor

TRUSTED = 0.02  # squared difference of a warped picture in [-1, 1], summed over its channels


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Looks each pixel up where the flow points: out(y, x) = picture(y + flow_y, x + flow_x), bilinear.

    What lies outside is the border's. Corners are aligned, the behaviour of PyTorch when the official code was written:
    only so zero flow changes nothing.

    Args:
        picture: N C H W.
        flow: N 2 H W.
    """
    height, width = picture.shape[2:]
    # float32 also under autocast: bfloat16 holds no place beyond 256 pixels to the pixel
    place = flow if flow.dtype == torch.float64 else flow.float()
    x = torch.arange(width, device=flow.device, dtype=place.dtype)
    y = torch.arange(height, device=flow.device, dtype=place.dtype)
    across = (place[:, 0] + x) * (2 / max(width - 1, 1)) - 1
    down = (place[:, 1] + y[:, None]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack([across, down], -1)  # N H W 2
    return F.grid_sample(picture.to(grid.dtype), grid, padding_mode="border", align_corners=True)


def confidence(current: Tensor, before: Tensor, flow: Tensor) -> Tensor:
    """1 where the frame before, moved by the flow, looks like the current frame, else 0: N 1 H W.

    Args:
        current, before: N C H W in [-1, 1].
        flow: N 2 H W from the current frame back.
    """
    return ((current - warp(before, flow)).square().sum(1, keepdim=True) < TRUSTED).float()


def chain(flows: Tensor) -> Tensor:
    """Flow over several frames from flows over one: follows each pixel back frame by frame.

    Args:
        flows: N 2 K H W, the k-th from frame k + 1 to frame k.

    Returns:
        N 2 H W, from frame K to frame 0.
    """
    whole = flows[:, :, -1]
    for k in reversed(range(flows.shape[2] - 1)):
        whole = whole + warp(flows[:, :, k], whole)
    return whole
