"""Annotation files of pose-gan with the pictures they describe."""

from pathlib import Path

import numpy as np

from datamodules.pose.keypoint_csv import write_keypoints
from tests.datamodules.frame_files import flat, save

TORSO = (2, 5, 8, 11)  # shoulders and hips


def pose(seed: int, height: int, width: int, missing: tuple[int, ...] = ()) -> np.ndarray:
    """float32 18 3 on whole pixels."""
    rng = np.random.default_rng(seed)
    joints = np.stack([rng.integers(0, width, 18), rng.integers(0, height, 18), np.ones(18)], -1)
    joints[list(missing)] = 0
    return joints.astype(np.float32)


def annotate(path: Path, poses: dict[str, np.ndarray]) -> None:
    """Writes the file that `read_keypoints` reads."""
    write_keypoints(path, list(poses), np.stack(list(poses.values())))


def pictures(folder: Path, names: list[str], height: int, width: int) -> None:
    """Picture i is of grey level i + 1."""
    for i, name in enumerate(names):
        save((folder / name).with_suffix(".png"), flat(i + 1, height, width)).rename(folder / name)
