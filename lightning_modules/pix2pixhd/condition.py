"""What a picture is made from, as the networks take it: classes one-hot, outlines of objects, drawn conditions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.pix2pixhd.instances import edges

KEYS = ("video", "labels", "instances", "condition")
_TIME = {"video": 2, "labels": 1, "instances": 1, "condition": 2}  # the axis of time of a clip


class Condition:
    """Assembles the networks' input.

    Args:
        label_nc: number of classes; 0 where the batch's `condition` is used in place of labels.
        instances: whether the outlines of `instances` are appended.
        condition_nc: channels of `condition`, with `label_nc` 0.

    Raises:
        BenchError: no such input.
    """

    def __init__(self, label_nc: int, instances: bool, condition_nc: int) -> None:
        if label_nc < 0 or (label_nc == 0 and condition_nc < 1):
            raise BenchError(
                f"model.init_args.label_nc is {label_nc} and condition_nc {condition_nc}: label_nc must be at least 1, "
                "or 0 with the channels of batch['condition'] in condition_nc"
            )
        self.label_nc, self.instances, self.condition_nc = label_nc, instances, condition_nc

    @property
    def channels(self) -> int:
        """Of the input."""
        return (self.label_nc or self.condition_nc) + self.instances

    def __call__(self, images: Mapping[str, Tensor]) -> Tensor:
        """`labels` N H W or `condition` N C H W, and `instances` N H W -> N channels H W."""
        if self.label_nc:
            labels = images["labels"][:, None]
            shown = torch.zeros(len(labels), self.label_nc, *labels.shape[2:], device=labels.device)
            shown.scatter_(1, labels, 1.0)
        else:
            shown = images["condition"]
        return torch.cat([shown, edges(images["instances"])], 1) if self.instances else shown

    def check(self, batch: VideoBatch) -> None:
        """Refuses a batch that would index beyond the classes, or whose parts do not belong together.

        It reads values: call it while the batch lies on the CPU, or where waiting for the device does no harm.

        Raises:
            BenchError: names the clip, what was found and what was expected.
        """
        found: dict[str, Any] = {key: batch[key] for key in KEYS if key in batch}  # type: ignore[literal-required]
        frames = {key: value.shape[_TIME[key]] for key, value in found.items()}
        sizes = {key: tuple(value.shape[-2:]) for key, value in found.items()}
        for what, seen in (("frames", frames), ("size", sizes)):
            if len(set(seen.values())) > 1:
                told = ", ".join(f"{key} {value}" for key, value in seen.items())
                raise BenchError(f"{_names(batch)}: what belongs to a frame differs in {what}: {told}")
        if self.label_nc:
            self._check_labels(batch)
        elif batch["condition"].shape[1] != self.condition_nc:
            raise BenchError(
                f"{_names(batch)}: condition has {batch['condition'].shape[1]} channels, but "
                f"model.init_args.condition_nc is {self.condition_nc}"
            )
        if self.instances and batch["instances"].is_floating_point():
            raise BenchError(
                f"{_names(batch)}: instances are {batch['instances'].dtype}; numbers of objects must be integers, "
                "as scaled to [0, 1] they all become 0 or 1"
            )

    def _check_labels(self, batch: VideoBatch) -> None:
        labels = batch["labels"]
        wrong = (labels < 0) | (labels >= self.label_nc)
        if wrong.any():
            clip = int(wrong.flatten(1).any(1).nonzero()[0])
            name = batch["name"][clip] if "name" in batch else f"clip {clip} of the batch"
            values = ", ".join(map(str, labels[clip][wrong[clip]].unique().tolist()[:8]))
            raise BenchError(
                f"{name}: labels {values} found, but model.init_args.label_nc is {self.label_nc}: they must be "
                f"0 to {self.label_nc - 1}. Say how many classes there are with label_nc, or turn the others into one "
                "of them with data.init_args.unlisted where the data have that"
            )


def one_frame(batch: VideoBatch, at: Tensor) -> dict[str, Tensor]:
    """One frame of each clip.

    Args:
        at: B int64, which.

    Returns:
        Of `KEYS` those that there are, without the axis of time: N C H W, N H W.
    """
    clips = torch.arange(len(at), device=at.device)
    found: Mapping[str, Any] = batch
    return {key: found[key].movedim(_TIME[key], 1)[clips, at] for key in KEYS if key in batch}


def all_frames(batch: VideoBatch) -> dict[str, Tensor]:
    """Every frame of each clip as an image: of `KEYS` those that there are, (B T) C H W or (B T) H W, clip by clip."""
    found: Mapping[str, Any] = batch
    return {key: found[key].movedim(_TIME[key], 1).flatten(0, 1) for key in KEYS if key in batch}


def _names(batch: VideoBatch) -> str:
    return ", ".join(batch["name"][:3]) if "name" in batch else "a batch"
