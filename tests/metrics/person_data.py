"""An estimator that reads poses off the frames themselves, and data that know theirs."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.pose.estimator import Estimate, PoseReport, Progress
from datamodules.pose.skeletons import COCO_18, Skeleton
from datamodules.synthetic.puppet.data import DRAWN_LIKE
from tests.metrics.array_data import ArrayData, numbered

JOINTS = len(COCO_18)


class WrittenPoses:
    """Finds in a frame the poses that `written` wrote into its first rows, one person a row."""

    fingerprint = "written poses"

    def __init__(self, skeleton: Skeleton = COCO_18) -> None:
        self.skeleton = skeleton

    def estimate(self, frames: np.ndarray, progress: Progress | None = None) -> Estimate:
        assert frames.dtype == np.uint8 and frames.shape[3] == 3
        poses = frames[:, :, : len(self.skeleton)].astype(np.float32)  # T P J 3: a row is a person
        poses = np.where(poses[..., 2:] > 0, poses, 0)
        return Estimate(poses, PoseReport.of(poses, 0.0))


def written(poses: Tensor) -> Tensor:
    """Whole-numbered poses B T P J 3 as clips: a pixel is a joint, its colour x, y and confidence."""
    return poses.permute(0, 4, 1, 2, 3).to(torch.uint8).contiguous()  # B 3 T P J


def with_pose(poses: Tensor) -> VideoBatch:
    """B T P J 3 as a batch has them."""
    return {**numbered(*range(len(poses))), "pose": poses.float().transpose(1, 2)}


def random_poses(seed: int, count: int = 3, frames: int = 4, persons: int = 1, joints: int = JOINTS) -> Tensor:
    """Whole numbers from 20 to 119, all joints there."""
    rng = torch.Generator().manual_seed(seed)
    poses = torch.randint(20, 120, (count, frames, persons, joints, 3), generator=rng)
    poses[..., 2] = 1
    return poses


class Posed(ArrayData):
    """Data that name their poses' skeleton."""

    name = "posed"

    def __init__(self, skeleton: str, val: Tensor) -> None:
        super().__init__(val=val)
        self.skeleton = skeleton


def prepared(metric: Any, skeleton: Skeleton = COCO_18) -> Any:
    """The metric, told that the batch's poses are of `skeleton`."""
    metric.given = DRAWN_LIKE.get(skeleton.name, skeleton)
    return metric
