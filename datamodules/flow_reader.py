"""Flow in the cache that frames are in: two bytes a number, as planes of uint8 beside each other."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.cache_build import Reader
from datamodules.flow import LEAST, Flow, estimate, pack, policy, unpack

PLANES = 10  # low and high bytes of forward x, y and backward x, y; validity of both directions


class FlowReader:
    """Makes the flow of the videos that another reader makes; satisfies `datamodules.cache.Reader`.

    `open_cache(f"{name}_flow", sources, FlowReader(reader))` then has the same videos in the same order as the cache of
    the frames. "Frame" t holds the flow between frames t and t + 1; the last one holds none.

    Args:
        frames: reads the videos.
        least: see `datamodules.flow.estimate`.
    """

    def __init__(self, frames: Reader, least: int = LEAST) -> None:
        self.frames, self.least = frames, least
        self.shape = (*frames.shape[:2], PLANES)
        self.policy: dict[str, Any] = {"reader": "flow", **policy(least), "frames": dict(frames.policy)}

    def count(self, path: Path) -> int:
        """As the reader of the frames."""
        return self.frames.count(path)

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W 10."""
        return planes(estimate(self.frames.read(path), self.least), path.name)


def planes(flow: Flow, name: str) -> np.ndarray:
    """uint8 T H W 10 of a clip's flow; `name` is for messages."""
    numbers = pack(np.concatenate([flow.forward, flow.backward]), name).transpose(1, 2, 3, 0)  # T-1 H W 4
    octets = np.ascontiguousarray(numbers, dtype="<i2").view(np.uint8)  # T-1 H W 8
    flags = np.stack([flow.valid, flow.back_valid], axis=-1).astype(np.uint8)
    return np.pad(np.concatenate([octets, flags], axis=-1), ((0, 1), (0, 0), (0, 0), (0, 0)))


def from_planes(clip: np.ndarray) -> Flow:
    """The flow of neighbouring frames of a clip, from its T planes uint8 T H W 10 as `planes` made them."""
    between = clip[:-1]
    octets = np.ascontiguousarray(between[..., :8])
    numbers = unpack(octets.view("<i2")).transpose(3, 0, 1, 2)  # 4 T-1 H W
    valid, back_valid = between[..., 8:].astype(bool).transpose(3, 0, 1, 2)
    return Flow(numbers[:2], numbers[2:], valid, back_valid)
