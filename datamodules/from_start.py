"""Data whose evaluation clips begin where their videos begin, as in the published protocols of prediction."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from datamodules.base import ClipData, Store
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.stream import permutation


class FromStart(ClipData):
    """Evaluation clip i is the first frames of a video; training clips begin where `ClipData` lets them.

    Attributes:
        video_frames: frames that every video has; None where they have no end.
    """

    video_frames: ClassVar[int | None] = None

    def eval_batch(self, split: str, index: range | list[int], frames: int, stride: int, seed: int) -> VideoBatch:
        """As `ClipData.eval_batch`, each clip from frame 0 on.

        Raises:
            BenchError: the videos are too short.
        """
        numbers = np.array(index, dtype=np.int64)
        needed = (frames - 1) * stride + 1
        if self.video_frames is not None and needed > self.video_frames:
            raise BenchError(
                f"{self.name}: clips of frames={frames} with stride={stride} need {needed} frames, but its videos have "
                f"{self.video_frames}; lower protocol.frames or protocol.stride"
            )
        count = len(self.store(split).lengths)
        videos = permutation(count, seed, f"eval {split}", 0)[numbers % count]
        at = np.tile(np.arange(frames) * stride, (len(videos), 1))
        return self.batch(split, videos, at, numbers)


class FirstFrames:
    """The videos of a store, said to be shorter: training clips then begin at frame 0, as in SVG's loaders.

    Args:
        store: the videos.
        length: frames to draw clips from; all frames can still be gathered.
    """

    def __init__(self, store: Store, length: int) -> None:
        self.store = store
        self.lengths = np.minimum(store.lengths, length)
        self.names, self.digest = store.names, store.digest
        self.attributes: Mapping[str, np.ndarray] = store.attributes

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B)."""
        return self.store.gather(videos, frames)
