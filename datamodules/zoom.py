"""Training clips that are enlarged at random, as vid2vid does with dancers: keyed for each clip, no state."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.base import training_seed
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.stream import keyed_rng

_SMOOTH = frozenset({"video", "context", "source"})
_NEAREST = frozenset({"condition", "labels", "instances", "mask", "flow_valid", "flow_back_valid"})
_FLOWS = frozenset({"flow", "flow_back"})
_POSES = frozenset({"pose", "source_pose"})
_OTHERS = frozenset({"attributes", "index", "name", "step"})


def drawn_zoom(batch: VideoBatch, largest: float) -> tuple[Tensor, Tensor]:
    """Of each clip of a training batch: how much it is enlarged, 1 to `largest`, and where the cut lies, 0 (top) to 1.

    Keyed by seed, step and the clip's number: the same on any number of devices.
    """
    seed, step = training_seed(), batch["step"]
    drawn = torch.tensor([keyed_rng("zoom", seed, step, i).random(2).tolist() for i in batch["index"].tolist()])
    drawn = drawn.to(batch["index"].device)
    return 1 + (largest - 1) * drawn[:, 0], drawn[:, 1]


def zoomed(batch: VideoBatch, times: Tensor, height: Tensor) -> VideoBatch:
    """The batch with each clip enlarged and cut to its size.

    Pictures are interpolated; conditions and masks, whose values are colours of parts, take the nearest pixel. Flow
    grows with the picture.

    Args:
        times: B, at least 1.
        height: B, where the cut lies of what juts out above and below; columns are those in the middle.

    Raises:
        BenchError: the batch holds something that cannot be enlarged.
    """
    rows, columns = batch["video"].shape[-2:]
    top, left = height * rows * (1 - 1 / times), columns * (1 - 1 / times) / 2  # in pixels of the clip, from its edge
    out: dict[str, Any] = {}
    for key, value in batch.items():
        if key in _OTHERS:
            out[key] = value
            continue
        value = cast(Tensor, value)
        if key in _SMOOTH | _FLOWS:
            out[key] = _cut(value, times if key in _FLOWS else torch.ones_like(times), times, top, left, "bilinear")
        elif key in _NEAREST:
            out[key] = _cut(value, torch.ones_like(times), times, top, left, "nearest")
        elif key in _POSES:
            out[key] = _pose(value, times, top, left, rows, columns)
        else:
            raise BenchError(f"data.init_args.zoom: {key} cannot be enlarged; set zoom to 1")
    return cast(VideoBatch, out)


def _cut(value: Tensor, gain: Tensor, times: Tensor, top: Tensor, left: Tensor, mode: str) -> Tensor:
    """B ... H W of any type: the values where the new pixels' centres lie, times `gain`."""
    rows, columns = value.shape[-2:]
    planes = value.reshape(len(value), -1, rows, columns).double()  # exact for every integer that travels
    y = top[:, None] + (torch.arange(rows, device=value.device) + 0.5) / times[:, None]  # B H
    x = left[:, None] + (torch.arange(columns, device=value.device) + 0.5) / times[:, None]  # B W
    grid = torch.stack(torch.broadcast_tensors((2 * x / columns - 1)[:, None], (2 * y / rows - 1)[..., None]), -1)
    found = F.grid_sample(planes, grid.double(), mode=mode, padding_mode="border", align_corners=False)
    found = found.reshape(value.shape) * gain.reshape(-1, *(1,) * (value.ndim - 1))
    if value.is_floating_point():
        return found.to(value.dtype)
    limits = torch.iinfo(value.dtype)
    return found.round().clamp(limits.min + (limits.min < 0), limits.max).to(value.dtype)


def _pose(pose: Tensor, times: Tensor, top: Tensor, left: Tensor, rows: int, columns: int) -> Tensor:
    """B ... J 3: joints that leave the frame are missing; pixel centres lie at whole numbers."""
    shape = (-1, *(1,) * (pose.ndim - 2))
    x = (pose[..., 0] + 0.5 - left.reshape(shape)) * times.reshape(shape) - 0.5
    y = (pose[..., 1] + 0.5 - top.reshape(shape)) * times.reshape(shape) - 0.5
    inside = (x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5) & (pose[..., 2] > 0)
    return torch.where(inside[..., None], torch.stack([x, y, pose[..., 2]], -1), 0).to(pose.dtype)
