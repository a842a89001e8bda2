"""Data sets made of arrays, a tiny extractor, and batches, for the tests of this folder."""

import hashlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from metrics.features.base import Extractor


class ArrayStore:
    def __init__(self, videos: np.ndarray) -> None:
        self.videos = videos  # V T H W C
        self.lengths = np.full(len(videos), videos.shape[1])
        self.names = [f"video{i}" for i in range(len(videos))]
        self.attributes: Mapping[str, np.ndarray] = {}
        self.digest = hashlib.sha256(videos.tobytes()).hexdigest()[:12]

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return self.videos[videos[:, None], frames]


class ArrayData(ClipData):
    """All splits given as uint8 V C T H W tensors."""

    name = "arrays"

    def __init__(self, context: int = 0, **splits: Tensor) -> None:
        first = next(iter(splits.values()))
        super().__init__((first.shape[3], first.shape[4]), first.shape[2], context=context)
        self.channels = first.shape[1]
        self.arrays = {split: clips.permute(0, 2, 3, 4, 1).numpy() for split, clips in splits.items()}

    def open_store(self, split: str) -> ArrayStore:
        return ArrayStore(self.arrays[split])


class MeanColour(Extractor):
    """Features that a test can compute by hand: the mean of each channel."""

    name = "colour"
    num_features = 3
    preprocessing = "none"

    def __init__(self, level: Literal["clip", "frame"] = "clip") -> None:
        super().__init__()
        self.level = level
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        of_frames = clips.float().mean(dim=(3, 4)).transpose(1, 2)  # B T 3
        return of_frames if self.level == "frame" else of_frames.mean(dim=1)


def noise_clips(seed: int, *shape: int) -> Tensor:
    """uint8 B C T H W, each clip with a tint of its own."""
    rng = torch.Generator().manual_seed(seed)
    tint = torch.randint(0, 156, (*shape[:2], 1, 1, 1), generator=rng)
    return (tint + torch.randint(0, 100, shape, generator=rng)).to(torch.uint8)


def numbered(*index: int) -> VideoBatch:
    return {"index": torch.tensor(index, dtype=torch.int64)}
