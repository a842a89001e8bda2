"""Standing persons in COCO_18 for tests, in pixels of 128 x 64, and what is easily told of them."""

import torch
from torch import Tensor

from datamodules.pose.skeletons import COCO_18

# A person who faces the camera: right joints at the image's left.
PLACES = {
    "nose": (32, 14), "neck": (32, 28), "right_shoulder": (23, 30), "right_elbow": (18, 46), "right_wrist": (15, 62),
    "left_shoulder": (41, 30), "left_elbow": (46, 46), "left_wrist": (50, 60), "right_hip": (27, 66),
    "right_knee": (25, 92), "right_ankle": (24, 116), "left_hip": (37, 66), "left_knee": (39, 92),
    "left_ankle": (41, 117), "right_eye": (30, 11), "left_eye": (34, 11), "right_ear": (27, 13), "left_ear": (37, 13),
}  # fmt: skip


def person(**places: tuple[float, float] | None) -> Tensor:
    """18 3: the standing person with some joints elsewhere, or missing where None is given."""
    known: dict[str, tuple[float, float] | None] = {**PLACES, **places}
    rows = [(*(known[name] or (-1, -1)), float(known[name] is not None)) for name in COCO_18.joints]
    return torch.tensor(rows)


def scattered(count: int, seed: int = 0, missing: float = 0.0) -> Tensor:
    """count 18 3: persons whose joints are shifted by up to 8 pixels, whole numbers; torsos are always there."""
    draw = torch.Generator().manual_seed(seed)
    poses = person().repeat(count, 1, 1)
    poses[..., :2] += torch.randint(-8, 9, poses[..., :2].shape, generator=draw)
    lost = torch.rand(count, len(COCO_18), generator=draw) < missing
    for name in ("right_shoulder", "left_shoulder", "right_hip", "left_hip"):
        lost[:, COCO_18.index(name)] = False
    poses[lost] = torch.tensor([-1.0, -1.0, 0.0])
    return poses
