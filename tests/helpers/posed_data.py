"""Clips of squares that follow a pose, in memory, with what pose-guided methods read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datamodules.base import Store
from datamodules.flip import Flipped
from datamodules.pose.skeletons import COCO_18

VIDEOS, LENGTH = 6, 5


class PosedStore:
    """Joints walk about and the picture is a colour with a lighter square at the neck; sources are other pictures."""

    def __init__(self, height: int, width: int) -> None:
        rng = np.random.default_rng(0)
        self.lengths = np.full(VIDEOS, LENGTH)
        self.names = [f"person{i}" for i in range(VIDEOS)]
        self.attributes: Mapping[str, np.ndarray] = {}
        self.digest = "persons"
        self.poses = np.ones((VIDEOS, LENGTH + 1, len(COCO_18), 3), np.float32)
        self.poses[..., 0] = rng.integers(0, width, self.poses.shape[:3])
        self.poses[..., 1] = rng.integers(0, height, self.poses.shape[:3])
        self.frames = np.zeros((VIDEOS, LENGTH + 1, height, width, 3), np.uint8)
        self.frames[:] = rng.integers(0, 200, (VIDEOS, 1, 1, 1, 3))
        for video, frame in np.ndindex(VIDEOS, LENGTH + 1):
            x, y = self.poses[video, frame, 1, :2].astype(int)
            self.frames[video, frame, max(y - 4, 0) : y + 4, max(x - 4, 0) : x + 4] += 50

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return self.frames[videos[:, None], frames]

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        video = self.gather(videos, frames).transpose(0, 4, 1, 2, 3)
        known = {
            "video": video,
            "pose": self.poses[videos[:, None], frames][:, None],
            "mask": (video[:, :1] > 100).astype(np.uint8) * 255,
            "source": self.frames[videos, -1].transpose(0, 3, 1, 2),
            "source_pose": self.poses[videos, -1][:, None],
        }
        return {key: known[key] for key in keys}


class PosedData(Flipped):
    name = "persons"
    skeleton = COCO_18.name
    tracks = frozenset({"pose", "mask", "source", "source_pose"})

    def __init__(self, flip: bool = False, **common: Any) -> None:
        super().__init__(**common)
        self.flip = flip

    def open_store(self, split: str) -> Store:
        return PosedStore(self.height, self.width)
