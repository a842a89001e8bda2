"""Poses of one skeleton as another, and mirrored poses."""

import numpy as np

from datamodules.pose.skeletons import Skeleton

# Joints that lie midway between two others; converters that lack them take the mean.
_MIDWAY = {"mid_hip": ("right_hip", "left_hip"), "neck": ("right_shoulder", "left_shoulder")}


def convert(pose: np.ndarray, source: Skeleton, target: Skeleton) -> np.ndarray:
    """Joints by name. What `source` lacks is missing, but for the middle of the hips and the neck.

    Args:
        pose: ... J 3 of `source`.

    Returns:
        ... J' 3 of `target`, of the same type. A midway joint has the lower confidence of the two it lies between.
    """
    out = np.zeros((*pose.shape[:-2], len(target), 3), dtype=pose.dtype)
    for row, joint in enumerate(target.joints):
        if joint in source.joints:
            out[..., row, :] = pose[..., source.joints.index(joint), :]
        elif joint in _MIDWAY and set(_MIDWAY[joint]) <= set(source.joints):
            a, b = (pose[..., source.index(name), :] for name in _MIDWAY[joint])
            out[..., row, :] = midway(a, b)
    return out


def midway(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean place and lower confidence of two joints (... 3); zero where one is missing."""
    place = (a[..., :2] + b[..., :2]) / 2
    confidence = np.minimum(a[..., 2:], b[..., 2:])
    return np.where(confidence > 0, np.concatenate([place, confidence], -1), 0)


def mirror(pose: np.ndarray, width: int, skeleton: Skeleton) -> np.ndarray:
    """The pose in the mirrored image: pixel x goes to width - 1 - x, and right and left joints change places.

    A pair of hands also has to change places as arrays, which the caller does.

    Args:
        pose: ... J 3.
        width: of the image, in pixels.
    """
    out = pose[..., skeleton.swap, :].copy()
    out[..., 0] = np.where(out[..., 2] > 0, width - 1 - out[..., 0], 0)
    out[..., 1] = np.where(out[..., 2] > 0, out[..., 1], 0)
    return out
