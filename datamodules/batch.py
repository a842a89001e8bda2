from typing import Any, TypedDict, cast

import torch
from torch import Tensor


class VideoBatch(TypedDict, total=False):
    """What data give and methods read; the batch axis comes first.

    Frames travel as uint8 and are float in [-1, 1] once on the device (`to_float`). Poses: x, y in pixels, confidence
    (0 = missing); the skeleton's name is the datamodule's.
    """

    video: Tensor  # B C T H W, all T frames
    context: Tensor  # B C K H W, the first K frames of `video`
    source: Tensor  # B C H W
    source_pose: Tensor  # B P J 3
    pose: Tensor  # B P T J 3
    condition: Tensor  # B C T H W: rendered pose, edges
    labels: Tensor  # B T H W int64
    instances: Tensor  # B T H W int64
    flow: Tensor  # B 2 T-1 H W, t -> t+1
    flow_back: Tensor  # B 2 T-1 H W, t+1 -> t, as vid2vid warps
    flow_valid: Tensor  # B 1 T-1 H W
    mask: Tensor  # B 1 T H W
    face_box: Tensor  # B T 4
    attributes: dict[str, Tensor]  # each B int64, such as category, subject
    index: Tensor  # B int64, the clip's number in its split: keys the noise
    name: list[str]  # B, where the clip comes from: for messages
    step: int  # the training step these clips were drawn for; absent in evaluation


FRAME_KEYS = ("video", "context", "source", "condition")


def to_float(batch: Any) -> Any:
    """uint8 frames -> float32 in [-1, 1], on the device where the batch lies. The only place that does so.

    Args:
        batch: a `VideoBatch`, or a dict of named streams of them.
    """
    if not isinstance(batch, dict):
        return batch
    out: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, dict) and key != "attributes":
            out[key] = to_float(value)
        elif key in FRAME_KEYS and value.dtype == torch.uint8:
            out[key] = value.to(torch.float32).div_(127.5).sub_(1.0)
        else:
            out[key] = value
    return out


def main_stream(step_batch: Any) -> VideoBatch:
    """The clips of a training batch, whether or not the step holds other streams beside them."""
    return cast(VideoBatch, step_batch.get("clips", step_batch))
