"""Mirrored training clips, decided for each clip of each step by a key: no state, the same on any number of devices."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from datamodules.base import ClipData, training_seed
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.skeletons import Skeleton, skeleton
from datamodules.stream import keyed_rng

_LABELS = frozenset({"labels", "source_labels"})
_PICTURES = frozenset({"video", "context", "source", "condition", "instances", "mask", "source_mask"})
_FLOWS = frozenset({"flow", "flow_back"})
_SEEN = frozenset({"flow_valid", "flow_back_valid"})
_POSES = frozenset({"pose", "source_pose"})
_OTHERS = frozenset({"index", "name", "step"})


class Flipped(ClipData):
    """A data set whose training clips may be mirrored. Evaluation clips never are.

    An epoch stays one pass over the clips; each is mirrored with probability 1/2, keyed by seed, step and the clip's
    number.

    Attributes:
        flip: whether training clips are mirrored.
        skeleton: name of the poses' skeleton, where there are poses; right and left joints change places.
        other_side: of each label the one that it becomes in a mirror, where labels tell right from left.
        turns: attributes in degrees about the vertical, 0 facing the camera; a mirror turns them the other way.
    """

    flip = False
    skeleton: str | None = None
    other_side: Sequence[int] | None = None
    turns: Collection[str] = ()

    @property
    def limbs(self) -> Sequence[tuple[int, int]]:  # type: ignore[override]
        """Joints to join where the pose is drawn."""
        return skeleton(self.skeleton).limbs if self.skeleton is not None else ()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Mirrors on the device, before frames become floats."""
        return super().on_after_batch_transfer(self._flipped(batch) if self.flip else batch, dataloader_idx)

    def _flipped(self, batch: Any) -> Any:
        return each_stream(batch, self._mirrored)

    def _mirrored(self, batch: VideoBatch) -> VideoBatch:
        seed, step = training_seed(), batch["step"]
        which = [keyed_rng("flip", seed, step, i).random() < 0.5 for i in batch["index"].tolist()]
        poses = skeleton(self.skeleton) if self.skeleton is not None else None
        chosen = torch.tensor(which, device=batch["index"].device)
        return mirrored(batch, chosen, poses, self.other_side, self.turns)


def each_stream(batch: Any, change: Callable[[VideoBatch], VideoBatch]) -> Any:
    """`change` of a training batch, or of each of its named streams; what is not of a training step stays as it is."""
    if not isinstance(batch, dict):
        return batch
    if "index" not in batch:
        return {name: each_stream(stream, change) for name, stream in batch.items()}
    return change(cast(VideoBatch, batch)) if "step" in batch else batch


def mirrored(
    batch: VideoBatch,
    which: Tensor,
    poses: Skeleton | None = None,
    other_side: Sequence[int] | None = None,
    turns: Collection[str] = (),
) -> VideoBatch:
    """The batch with the clips `which` (B bool) mirrored. What is drawn with colours for right and left is not redrawn.

    Args:
        poses, other_side, turns: see `Flipped`.

    Raises:
        BenchError: the batch holds something that cannot be mirrored.
    """
    width = batch["video"].shape[-1]
    out: dict[str, Any] = {}
    for key, value in batch.items():
        if key in _OTHERS:
            out[key] = value
            continue
        if key == "attributes":
            attributes = cast(dict[str, Tensor], value)
            out[key] = {k: torch.where(which, -a % 360, a) if k in turns else a for k, a in attributes.items()}
            continue
        value = cast(Tensor, value)
        if key in _PICTURES | _SEEN:
            turned = value.flip(-1)
        elif key in _LABELS:
            turned = _labels(value.flip(-1), other_side)
        elif key in _FLOWS:
            turned = _flow(value)
        elif key in _POSES and poses is not None:
            turned = _pose(value, width, poses)
        elif key == "face_box":
            turned = _box(value, width)
        else:
            raise BenchError(f"data.init_args.flip: {key} cannot be mirrored; set flip to false")
        out[key] = torch.where(which.reshape(-1, *(1,) * (value.ndim - 1)), turned, value)
    return cast(VideoBatch, out)


def _labels(labels: Tensor, other_side: Sequence[int] | None) -> Tensor:
    if other_side is None:
        return labels
    return torch.tensor(other_side, device=labels.device, dtype=labels.dtype)[labels.long()]


def _flow(flow: Tensor) -> Tensor:
    """B 2 T-1 H W: what moved to the right moves to the left."""
    turned = flow.flip(-1)
    return torch.stack([-turned[:, 0], turned[:, 1]], 1)


def _pose(pose: Tensor, width: int, poses: Skeleton) -> Tensor:
    """... J 3: pixel x goes to width - 1 - x; what is all zero stays so."""
    swap = torch.as_tensor(poses.swap.copy(), device=pose.device)
    turned = pose.index_select(-2, swap)
    x = torch.where((turned != 0).any(-1), width - 1 - turned[..., 0], 0)
    return torch.cat([x[..., None], turned[..., 1:]], -1)


def _box(box: Tensor, width: int) -> Tensor:
    """... 4 as y0, y1, x0, x1, the far ends exclusive; an empty box stays zero."""
    y, x = box[..., :2], box[..., 2:]
    turned = torch.cat([y, width - x.flip(-1)], -1)
    return torch.where((box == 0).all(-1, keepdim=True), box, turned)
