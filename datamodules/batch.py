from collections.abc import Callable
from typing import Any, TypedDict, cast

import torch
from torch import Tensor


class VideoBatch(TypedDict, total=False):
    """What data give and methods read; the batch axis comes first.

    Poses: x, y in pixels, confidence (0 = missing); the skeleton's name is the datamodule's. Flow is in pixels, x then
    y. Data travel as small as they are, and `to_float` widens them once on the device:

    - frames (`video`, `context`, `source`, `condition`): uint8 -> float32 in [-1, 1]
    - `mask`, `source_mask`: uint8 0..255 -> float32 in [0, 1]
    - `labels`, `instances`, `source_labels`, `bounces`: any integers -> int64
    - `flow`, `flow_back`: int16 in 1/32 pixel, as the cache holds it -> float32 in pixels; float32 stays
    - `flow_valid`, `flow_back_valid`: uint8 0 or 1 -> float32
    """

    video: Tensor  # B C T H W, all T frames
    context: Tensor  # B C K H W, the first K frames of `video`
    source: Tensor  # B C H W
    source_pose: Tensor  # B P J 3
    source_mask: Tensor  # B 1 H W
    source_labels: Tensor  # B H W
    pose: Tensor  # B P T J 3
    condition: Tensor  # B C T H W: rendered pose, edges
    labels: Tensor  # B T H W
    instances: Tensor  # B T H W
    flow: Tensor  # B 2 T-1 H W, t -> t+1
    flow_valid: Tensor  # B 1 T-1 H W, 1 where the pixel of frame t is seen in frame t+1
    flow_back: Tensor  # B 2 T-1 H W, t+1 -> t, as vid2vid warps: frame t+1 at p is frame t at p + flow_back
    flow_back_valid: Tensor  # B 1 T-1 H W, 1 where the pixel of frame t+1 was seen in frame t
    mask: Tensor  # B 1 T H W
    face_box: Tensor  # B T 4: y0, y1, x0, x1 in pixels, the far ends exclusive; all 0 where there is no face
    bounces: Tensor  # B T: bounces off a wall since the frame before, at the first frame that shows where they led
    attributes: dict[str, Tensor]  # each B int64, such as category, subject
    requested: dict[str, Tensor]  # each B int64: the attributes that the method was asked for, where it was
    index: Tensor  # B int64, the clip's number in its split: keys the noise
    name: list[str]  # B, where the clip comes from: for messages
    step: int  # the training step these clips were drawn for; absent in evaluation


FLOW_UNIT = 1 / 32  # pixels: what one step of the int16 that flow is stored in stands for


def _levels(frames: Tensor) -> Tensor:
    return frames.to(torch.float32).div_(127.5).sub_(1.0) if frames.dtype == torch.uint8 else frames


def _share(mask: Tensor) -> Tensor:
    return mask.to(torch.float32).div_(255) if mask.dtype == torch.uint8 else mask


def _pixels(flow: Tensor) -> Tensor:
    return flow.to(torch.float32).mul_(FLOW_UNIT) if flow.dtype == torch.int16 else flow


WIDEN: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("video", "context", "source", "condition"), _levels),
    **dict.fromkeys(("labels", "instances", "source_labels", "bounces"), Tensor.long),
    **dict.fromkeys(("flow", "flow_back"), _pixels),
    **dict.fromkeys(("flow_valid", "flow_back_valid"), Tensor.float),
    **dict.fromkeys(("mask", "source_mask"), _share),
}


def to_float(batch: Any) -> Any:
    """Widens what travels small (see `VideoBatch`), on the device where the batch lies. The only place that does so.

    Args:
        batch: a `VideoBatch`, or a dict of named streams of them. It is not written to.
    """
    if not isinstance(batch, dict):
        return batch
    out: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, dict) and key not in ("attributes", "requested"):
            out[key] = to_float(value)
        else:
            out[key] = WIDEN[key](value) if key in WIDEN else value
    return out


def main_stream(step_batch: Any) -> VideoBatch:
    """The clips of a training batch, whether or not the step holds other streams beside them."""
    return cast(VideoBatch, step_batch.get("clips", step_batch))
