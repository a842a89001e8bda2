"""A stretch of each clip of a batch, as training and sampling look at it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.pix2pixhd.condition import KEYS, Condition, all_frames
from lightning_modules.vid2vid.warp import confidence


class Clip(NamedTuple):
    """Frames of B clips, time behind the batch.

    Attributes:
        shown: conditions, B T C H W.
        mask: B T 1 H W, 1 where the foreground is; None without.
        real: B T 3 H W.
        before: the true frame before each, B T 3 H W.
        flow: to it, B T 2 H W; 0 for a clip's first frame.
        trusted: where that flow holds, B T 1 H W; 0 for a clip's first frame.
        made: how many of the frames are made; those before are given.
    """

    shown: Tensor
    mask: Tensor | None
    real: Tensor
    before: Tensor
    flow: Tensor
    trusted: Tensor
    made: int


def conditions(batch: VideoBatch, condition: Condition, fg_labels: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    """Conditions B T C H W of all frames, and where labels are among `fg_labels`: B T 1 H W, None for none of them."""
    images = {key: value for key, value in all_frames(batch).items() if key != "video"}
    clips = len(next(iter(images.values()))) // frames_of(batch)
    shown = condition(images).unflatten(0, (clips, -1))
    mask = shown[:, :, list(fg_labels)].sum(2, keepdim=True).clamp(0, 1) if fg_labels else None
    return shown, mask


def frames_of(batch: VideoBatch) -> int:
    """Frames of the batch's conditions."""
    return batch["labels"].shape[1] if "labels" in batch else batch["condition"].shape[2]


def cut(
    batch: VideoBatch, condition: Condition, fg_labels: tuple[int, ...], start: Tensor, given: int, made: int
) -> Clip:
    """`given` and `made` frames of each clip from `start` on, B int64."""
    frames = given + made
    at = start[:, None] + torch.arange(frames, device=start.device)
    rows = torch.arange(len(start), device=start.device)[:, None]
    found: Mapping[str, Any] = batch
    part: dict[str, Any] = {}
    for key in (key for key in KEYS if key in batch):
        axis = 1 if key in ("labels", "instances") else 2
        part[key] = found[key].movedim(axis, 1)[rows, at].movedim(1, axis)
    shown, mask = conditions(part, condition, fg_labels)  # type: ignore[arg-type]
    earlier = (at - 1).clamp(min=0)
    video, flows = batch["video"].transpose(1, 2), batch["flow_back"].transpose(1, 2)
    real, before, flow = video[rows, at], video[rows, earlier], flows[rows, earlier]
    follows = (at > 0)[:, :, None, None, None].to(flow.dtype)
    trusted = confidence(real.flatten(0, 1), before.flatten(0, 1), flow.flatten(0, 1)).unflatten(0, at.shape)
    return Clip(shown, mask, real, before, flow * follows, trusted * follows, made)


def check_flow(batch: VideoBatch) -> None:
    """Refuses flows that do not belong to the frames, while they lie on the CPU.

    Raises:
        BenchError: their count or size, or NaN, with the clip's name.
    """
    flow, video = batch["flow_back"], batch["video"]
    names = batch.get("name") or [f"clip {i} of the batch" for i in range(len(flow))]
    wanted = (video.shape[2] - 1, *video.shape[3:])
    if flow.shape[1] != 2 or tuple(flow.shape[2:]) != wanted:
        raise BenchError(
            f"{', '.join(names[:3])}: flow_back is {tuple(flow.shape[1:])}, but {video.shape[2]} frames of "
            f"{video.shape[3]} x {video.shape[4]} need (2, {', '.join(map(str, wanted))}): a flow from each frame "
            "but the first to the one before"
        )
    if flow.is_floating_point() and not (whole := flow.isfinite().flatten(1).all(1)).all():
        clip = int((~whole).nonzero()[0])
        raise BenchError(f"{names[clip]}: flow_back holds NaN or infinity; estimate it anew, for example by flow: dis")
