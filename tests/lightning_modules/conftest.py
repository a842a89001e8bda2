from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import numpy as np
import pytest

from datamodules.base import ClipData, Store

VIDEOS, LENGTH = 6, 40


class MovingSquares:
    """Six videos of a square that moves right, one colour and one category (0..2) per video."""

    def __init__(self, size: int) -> None:
        self.lengths = np.full(VIDEOS, LENGTH)
        self.names = [f"square{i}" for i in range(VIDEOS)]
        self.attributes: Mapping[str, np.ndarray] = {"category": np.arange(VIDEOS) % 3}
        self.digest = "squares"
        self.videos = np.zeros((VIDEOS, LENGTH, size, size, 3), np.uint8)
        for video in range(VIDEOS):
            for frame in range(LENGTH):
                self.videos[video, frame, 8:14, (frame + video) % (size - 6) :][:, :6] = [40 * video + 40, 90, frame]

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return self.videos[videos[:, None], frames]


class Squares(ClipData):
    name = "squares"

    def open_store(self, split: str) -> Store:
        return MovingSquares(self.height)


@pytest.fixture
def squares() -> Callable[..., ClipData]:
    """In-memory clips, 32 pixels, 13 frames, 4 clips a step unless told otherwise."""

    def build(size: int = 32, frames: int = 13, batch_size: int = 4, **options: Any) -> ClipData:
        return Squares(size=size, frames=frames, batch_size=batch_size, **options)

    return build


@pytest.fixture
def trainer() -> Callable[..., L.Trainer]:
    """A trainer that writes and prints nothing."""

    def build(max_steps: int, **options: Any) -> L.Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        return L.Trainer(max_steps=max_steps, accelerator="cpu", **{"enable_checkpointing": False, **quiet, **options})

    return build
