"""MoCoGAN's shape motion, generated: a disc or square of one colour moves over black along a quartic Bezier curve."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from datamodules.base import ClipData, Store
from datamodules.errors import BenchError
from datamodules.stream import keyed_rng

SIDES = (8, 10, 12, 14)  # at 64 pixels
CONTROLS = 5  # control points of a quartic curve
SMALLEST_SIDE = 4  # a disc of 3 pixels is a square


class ShapeMotionStore:
    """Renders clips when they are asked for; satisfies `datamodules.base.Store`.

    What is drawn was measured on the 8,000 published strips: side 8, 10, 12 or 14 pixels, disc or filled square, one
    colour with each channel uniform over 0..255, black background. The top left corner follows a curve with control
    points P0..P4 and is rounded down. Along the motion P0 is the far and P4 the near end of the range 1 to 62 - side,
    so category 0 moves upwards and category 1 leftwards (the paper says downwards and to the right); across it P0 = P4
    is rounded from the range; all other control points are uniform in it. The shape is always fully visible.

    At other sizes sides scale by size / 64, at least 4 pixels, and so does the margin of 1 pixel, at least 1.

    Args:
        split, seed: key the videos; video i does not depend on how many there are.
        videos: how many.
        size: height and width.
        length: frames of each video.
    """

    def __init__(self, split: str, videos: int, size: int, length: int, seed: int) -> None:
        self.size = size
        self.lengths = np.full(videos, length, dtype=np.int64)
        self.names = [f"shape_motion/{split}/{i}" for i in range(videos)]
        drawn = keyed_rng("shape_motion", seed, split).random((videos, 6 + 2 * CONTROLS))  # one row a video
        leftwards, square = drawn[:, 0] < 0.5, drawn[:, 1] < 0.5
        scaled = np.maximum(np.rint(np.array(SIDES) * size / 64), SMALLEST_SIDE).astype(np.int64)
        self.sides = scaled[(drawn[:, 2] * len(SIDES)).astype(np.int64)]
        self.colours = (drawn[:, 3:6] * 256).astype(np.uint8)
        margin = max(1, size // 64)
        far = (size - 2 * margin - self.sides).astype(np.float64)
        points = margin + drawn[:, 6:].reshape(-1, 2, CONTROLS) * (far - margin)[:, None, None]  # along, across
        points[:, 0, 0], points[:, 0, -1] = far, margin
        points[:, 1, 0] = points[:, 1, -1] = np.rint(points[:, 1, 0])
        self.points = np.where(leftwards[:, None, None], points[:, ::-1], points)  # V 2 5: y, x
        self.basis = _bernstein(length)
        self.attributes: Mapping[str, np.ndarray] = {
            "category": leftwards.astype(np.int64),  # 0 upwards, 1 leftwards
            "shape": square.astype(np.int64),  # 0 disc, 1 square
        }
        self.digest = self._digest(split, seed)

    def positions(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Top left corners, int64 B T 2 (y, x), of `frames` (B T) of `videos` (B)."""
        # A plain sum over the five terms: its rounding does not depend on what else is in the batch.
        terms = self.points[videos][:, None] * self.basis[frames][:, :, None]  # B T 2 5
        return np.floor(terms.sum(-1)).astype(np.int64)

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W 3, in memory B 3 T H W."""
        size, (clips, steps) = self.size, frames.shape
        corner = self.positions(videos, frames)
        origin = (np.arange(steps) * size + corner[..., 0]) * size + corner[..., 1]  # B T, in a plane of T H W
        planes = np.zeros((clips, 3, steps * size * size), dtype=np.uint8)
        sides, shapes = self.sides[videos], self.attributes["shape"][videos]
        for side, shape in {*zip(sides.tolist(), shapes.tolist(), strict=True)}:  # at most 8 kinds
            chosen = np.flatnonzero((sides == side) & (shapes == shape))
            y, x = np.nonzero(_stamp(side, disc=shape == 0))
            pixels = (origin[chosen][..., None] + y * size + x).reshape(len(chosen), 1, -1)
            planes[chosen[:, None, None], np.arange(3)[:, None], pixels] = self.colours[videos[chosen]][..., None]
        return planes.reshape(clips, 3, steps, size, size).transpose(0, 2, 3, 4, 1)

    def _digest(self, split: str, seed: int) -> str:
        length = int(self.lengths[0])
        described = {"split": split, "seed": seed, "videos": len(self.names), "size": self.size, "length": length}
        some = np.arange(min(4, len(self.names)))
        clips = self.gather(some, np.tile(np.arange(length), (len(some), 1)))
        return hashlib.blake2b(json.dumps(described).encode() + clips.tobytes(), digest_size=8).hexdigest()


class ShapeMotion(ClipData):
    """Embedded shape motion: no download, exact attributes `category` (direction) and `shape`.

    Args:
        size: height and width, at least 16; 64 in the published data.
        frames: T, frames of a clip.
        stride: every `stride`-th frame; MoCoGAN's code takes every second.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes.
        video_frames: frames of each video; 32 in the published data.
        train_videos, val_videos, test_videos: videos of each split.
        seed: of the data, not of the run.
    """

    name = "shape_motion"

    def __init__(
        self,
        size: int = 64,
        frames: int = 16,
        stride: int = 2,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        video_frames: int = 32,
        train_videos: int = 4000,
        val_videos: int = 256,
        test_videos: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if size < 16:
            raise BenchError(f"data.init_args.size must be at least 16 for shapes to be told apart, found {size}")
        if video_frames < max(2, frames):
            raise BenchError(f"data.init_args.video_frames={video_frames} must be at least 2 and frames={frames}")
        self.size, self.video_frames, self.seed = size, video_frames, seed
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        for split, videos in self.videos.items():
            if videos < 1:
                raise BenchError(f"data.init_args.{split}_videos must be at least 1, found {videos}")

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the attributes `category` and `shape`."""
        return super().gives(**init_args) | {"attributes"}

    def open_store(self, split: str) -> Store:
        """The videos of a split, rendered when read."""
        return ShapeMotionStore(split, self.videos[split], self.size, self.video_frames, self.seed)


def _bernstein(length: int) -> np.ndarray:
    """Weights of the five control points at `length` times from 0 to 1: L 5. Exactly 1 at both ends."""
    t = np.linspace(0, 1, length)[:, None]
    k = np.arange(CONTROLS)
    return np.array([1, 4, 6, 4, 1]) * t**k * (1 - t) ** (CONTROLS - 1 - k)


def _stamp(side: int, disc: bool) -> np.ndarray:
    """Which of side x side pixels a shape covers; as in the published strips, pixel by pixel."""
    if not disc:
        return np.ones((side, side), dtype=bool)
    # For even sides the centre is the pixel left of and above the middle, so the disc's tips stick out below and to the
    # right. On the diagonals the published discs reach one further in squared distance.
    y, x = np.indices((side, side)) - (side - 1) // 2
    return y**2 + x**2 <= (side / 2) ** 2 + (abs(y) == abs(x))
