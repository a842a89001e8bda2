"""Squares around faces: cut out, and added to, all at once wherever they lie."""

import torch
from torch import Tensor


def seen(boxes: Tensor) -> Tensor:
    """Whether there is a face: N 4 -> N float, 0 where the box is all 0."""
    return (boxes != 0).any(1).float()


def places(boxes: Tensor, side: int, height: int, width: int) -> Tensor:
    """Pixels of squares about the boxes' middles, moved inside the frame.

    Args:
        boxes: N 4, y0, y1, x0, x1 in pixels. A whole box of that side inside the frame is its own square.
        side: of the squares.

    Returns:
        N side*side int64, numbers of pixels in reading order.
    """
    middle = boxes.float().unflatten(1, (2, 2)).mean(2)  # N (y, x)
    limit = torch.tensor([height - side, width - side], device=boxes.device, dtype=torch.float32)
    start = torch.minimum((middle - side / 2).round().clamp(min=0), limit).long()
    along = torch.arange(side, device=boxes.device)
    rows, columns = start[:, :1] + along, start[:, 1:] + along  # N side
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def cut(frames: Tensor, at: Tensor) -> Tensor:
    """N C H W and `places` -> N C side side."""
    index = at[:, None].expand(-1, frames.shape[1], -1)
    side = round(at.shape[1] ** 0.5)
    return frames.flatten(2).gather(2, index).unflatten(2, (side, side))


def add(frames: Tensor, squares: Tensor, at: Tensor) -> Tensor:
    """The frames with N C side side added at `places`; nothing is cut off where the sum leaves [-1, 1]."""
    index = at[:, None].expand(-1, frames.shape[1], -1)
    return frames.flatten(2).scatter_add(2, index, squares.flatten(2).to(frames.dtype)).reshape(frames.shape)
