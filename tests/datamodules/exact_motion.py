"""Clips whose flow is known exactly: puppets, and shapes over black."""

from typing import NamedTuple

import numpy as np

from datamodules.synthetic.puppet.kept import BatchPuppets
from datamodules.synthetic.shape_motion import ShapeMotionStore

BOTH = frozenset({"video", "flow", "flow_valid"})


class Exact(NamedTuple):
    """Clips uint8 N T H W 3; flow in pixels N 2 T-1 H W; where the pixel is seen in the next frame, N T-1 H W."""

    video: np.ndarray
    flow: np.ndarray
    valid: np.ndarray


def puppets(videos: int, length: int, size: int, fps: float = 25) -> Exact:
    """Persons in textured clothes before a textured room."""
    store = BatchPuppets("train", videos, length=length, size=(size, size), seed=0, fps=fps, texture="cloth")
    known = store.tracks(np.arange(videos), np.tile(np.arange(length), (videos, 1)), BOTH)
    return Exact(known["video"].transpose(0, 2, 3, 4, 1), known["flow"], known["flow_valid"][:, 0] > 0)


def shapes(videos: int, length: int, size: int) -> Exact:
    """Discs and squares of one colour: they move as wholes, and what they cover next is hidden."""
    store = ShapeMotionStore("train", videos, size, length, 0)
    at = np.arange(videos), np.tile(np.arange(length), (videos, 1))
    video, corners = store.gather(*at), store.positions(*at)
    on: np.ndarray = np.any(video, axis=-1)  # N T H W
    steps = np.diff(corners, axis=1)[..., ::-1].transpose(0, 2, 1)[..., None, None]  # N 2 T-1 1 1 (x, y)
    return Exact(video, np.where(on[:, None, :-1], steps, 0.0), on[:, :-1] | ~on[:, 1:])
