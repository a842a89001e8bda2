"""The networks' points as OpenPose's joints."""

import numpy as np

from datamodules.pose.convert import midway
from datamodules.pose.skeletons import BODY_25

# BODY_25 <- BlazePose's 33 points; what lies midway is computed, the small toes do not exist there.
_BODY = {
    "nose": 0, "right_eye": 5, "left_eye": 2, "right_ear": 8, "left_ear": 7,
    "right_shoulder": 12, "right_elbow": 14, "right_wrist": 16, "left_shoulder": 11, "left_elbow": 13, "left_wrist": 15,
    "right_hip": 24, "right_knee": 26, "right_ankle": 28, "left_hip": 23, "left_knee": 25, "left_ankle": 27,
    "left_big_toe": 31, "left_heel": 29, "right_big_toe": 32, "right_heel": 30,
}  # fmt: skip

# iBUG's 68 points <- the 468 of the face mesh, in order.
_FACE = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


def body_25(points: np.ndarray) -> np.ndarray:
    """... 33 3 (x, y, visibility) -> ... 25 3; neck and middle of the hips have the lower visibility of two."""
    out = np.zeros((*points.shape[:-2], len(BODY_25), 3), dtype=points.dtype)
    for joint, point in _BODY.items():
        out[..., BODY_25.index(joint), :] = points[..., point, :]
    out[..., BODY_25.index("neck"), :] = midway(points[..., 11, :], points[..., 12, :])
    out[..., BODY_25.index("mid_hip"), :] = midway(points[..., 23, :], points[..., 24, :])
    return out


def face_70(points: np.ndarray) -> np.ndarray:
    """... 468 2+ -> ... 70 2+: iBUG's 68 points and the middles of the eyes."""
    face = points[..., _FACE, :]
    pupils = [face[..., first : first + 6, :].mean(-2, keepdims=True) for first in (36, 42)]
    return np.concatenate([face, *pupils], -2)
