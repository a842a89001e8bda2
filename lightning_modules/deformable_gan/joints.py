"""Which joints of `datamodules.pose.skeletons.COCO_18` make the regions of the body that are deformed apart."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from datamodules.pose.skeletons import COCO_18

JOINTS = len(COCO_18)
TORSO = tuple(COCO_18.index(name) for name in ("right_hip", "left_hip", "left_shoulder", "right_shoulder"))
SHOULDERS = (COCO_18.index("left_shoulder"), COCO_18.index("right_shoulder"))
KNEES = (COCO_18.index("right_knee"), COCO_18.index("left_knee"))
HEAD = tuple(COCO_18.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
# In the official order of regions, after torso and head: right before left.
LIMBS = tuple(
    (COCO_18.index(f"{side}_{upper}"), COCO_18.index(f"{side}_{lower}"))
    for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    for side in ("right", "left")
)
TWIN = (1, 0, 3, 2, 5, 4, 7, 6)  # of each limb, the same one on the other side
OUTER = (False, False, True, True, False, False, True, True)  # calves and forearms
REGIONS = 2 + len(LIMBS)


@cache
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers on a device, brought there once: a list among indices would be brought, and waited for, anew."""
    return torch.tensor(values, dtype=dtype, device=device)


def pick(values: Tensor, joints: Sequence[int]) -> Tensor:
    """N J ... -> N len(joints) ...: those joints."""
    return values.index_select(1, constant(tuple(joints), values.device, torch.int64))
