"""Stochastic Moving MNIST, generated: digits fly over black and bounce off the walls, by either published rule."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datamodules.base import Store
from datamodules.errors import BenchError
from datamodules.from_start import FromStart
from datamodules.stream import keyed_rng, permutation
from datamodules.synthetic.bouncing import EVENTS, Rule, paths
from datamodules.synthetic.digit_pool import DigitPool, Digits, digit_pool

SIDES = {"svg": 32, "srvp": 28}  # of a digit, at 64 pixels
SPEED = 4  # pixels a frame along each axis at most, at 64 pixels


class MovingDigitsStore:
    """Renders clips when they are asked for; satisfies `datamodules.base.Store`.

    Overlapping digits are added and clipped at 255. At other sizes digits and speeds scale by size / 64.

    Args:
        split, seed: key the videos; video i does not depend on how many there are.
        videos: how many.
        size: height and width.
        length: frames of each video by name; any number of frames can be asked for.
        pool: the split's digits, 28x28. They are drawn with replacement, except by the rule `srvp` outside the training
            split: there each digit is used once before any is used twice, as in its fixed test set.
        rule, stochastic: see `datamodules.synthetic.bouncing`.
        digits: how many move in each video.
        channels: 1, or 3 equal ones.
    """

    def __init__(
        self,
        split: str,
        videos: int,
        size: int,
        length: int,
        seed: int,
        pool: DigitPool,
        rule: Rule = "svg",
        stochastic: bool = True,
        digits: int = 2,
        channels: int = 1,
    ) -> None:
        self.split, self.size, self.seed, self.rule = split, size, seed, rule
        self.stochastic, self.digits, self.channels = stochastic, digits, channels
        self.lengths = np.full(videos, length, dtype=np.int64)
        self.names = [f"moving_digits/{split}/{i}" for i in range(videos)]
        self.side = round(SIDES[rule] * size / 64)
        self.speed = max(1, round(SPEED * size / 64))
        self.images = pool.resized(self.side).images
        if rule == "srvp" and split != "train":
            turns = range(-(-videos * digits // len(pool.labels)))
            orders = [permutation(len(pool.labels), seed, f"digits {split}", turn) for turn in turns]
            self.shown = np.concatenate(orders)[: videos * digits].reshape(videos, digits)
        else:
            drawn = keyed_rng("moving_digits", seed, split, "digits").random((videos, digits))
            self.shown = (drawn * len(pool.labels)).astype(np.int64)  # V D
        self.attributes: Mapping[str, np.ndarray] = {f"digit{i}": pool.labels[self.shown[:, i]] for i in range(digits)}
        self.digest = self._digest(pool)

    def drawn(self, video: int, frames: int) -> np.ndarray:
        """The uniform numbers that move a video's digits for `frames` frames: D 2 + frames * EVENTS 2."""
        rng = keyed_rng("moving_digits", self.seed, self.split, video)
        # Time comes first, so more frames continue the same motion.
        return rng.random((2 + frames * EVENTS[self.rule], self.digits, 2)).transpose(1, 0, 2)

    def motion(self, videos: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the digits are in `frames` (B T, rising) of `videos` (B), and how often they bounced on the way there.

        Returns:
            Top left corners, int64 B D T 2 (y, x), and the bounces since the frame before in the clip, or in the video
            for a clip's first frame: int64 B D T. A bounce counts at the first frame that shows where the digit went.
        """
        count = int(frames.max(initial=0)) + 1
        drawn = [self.drawn(video, count) for video in videos.tolist()]
        rows = np.concatenate([np.empty((0, 2 + count * EVENTS[self.rule], 2)), *drawn])
        path, met = paths(self.rule, rows, self.size - self.side, self.speed, self.stochastic)
        path = path.reshape(len(videos), self.digits, count, 2)
        before = np.cumsum(met, axis=1) - met  # up to each frame
        at = frames[:, None]  # B 1 T
        earlier = np.concatenate([np.maximum(at[..., :1] - 1, 0), at[..., :-1]], axis=2)
        before = before.reshape(len(videos), self.digits, count)
        bounces = np.take_along_axis(before, at, axis=2) - np.take_along_axis(before, earlier, axis=2)
        return np.take_along_axis(path, at[..., None], axis=2), bounces

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """See `datamodules.base.TrackStore`."""
        at, bounces = self.motion(videos, frames)
        made = {"video": self._drawn_at(videos, at), "bounces": bounces.sum(axis=1).astype(np.int16)}
        return {key: values for key, values in made.items() if key in keys}

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C, in memory B C T H W."""
        return self._drawn_at(videos, self.motion(videos, frames)[0]).transpose(0, 2, 3, 4, 1)

    def _drawn_at(self, videos: np.ndarray, at: np.ndarray) -> np.ndarray:
        """uint8 B C T H W of digits at B D T 2."""
        clips, steps = len(at), at.shape[2]
        planes = np.zeros((clips, steps, self.size, self.size), dtype=np.uint8)
        windows = sliding_window_view(planes, (self.side, self.side), axis=(2, 3), writeable=True)
        clip, step = np.indices((clips, steps))
        for digit in range(self.digits):
            place = (clip, step, at[:, digit, :, 0], at[:, digit, :, 1])
            under, over = windows[place], self.images[self.shown[videos, digit]][:, None]
            windows[place] = under + np.minimum(over, ~under)  # ~under = 255 - under: clipped, not wrapped
        # Repeated, not broadcast: the batch is copied to the device as it lies here.
        return np.repeat(planes[:, None], self.channels, axis=1)  # B C T H W

    def _digest(self, pool: DigitPool) -> str:
        described = {
            "split": self.split,
            "seed": self.seed,
            "videos": len(self.names),
            "size": self.size,
            "length": int(self.lengths[0]),
            "rule": self.rule,
            "stochastic": self.stochastic,
            "digits": self.digits,
            "channels": self.channels,
            "pool": pool.digest,
        }
        some = np.arange(min(4, len(self.names)))
        clips = self.gather(some, np.tile(np.arange(60), (len(some), 1)))
        return hashlib.blake2b(json.dumps(described).encode() + clips.tobytes(), digest_size=8).hexdigest()


class MovingDigits(FromStart):
    """Embedded moving digits: no download, exact attributes `digit0`, `digit1`, ... (classes) and `bounces`.

    Clips of the evaluation begin with the video and may have any length, as in the published loaders; training clips do
    so with stride 1. Those loaders draw new training clips for ever; here there are `train_videos` of them, which a
    larger number makes as many as a run will see.

    Args:
        size: height and width, at least 16; 64 in the published data.
        frames: T, frames of a clip; SVG trains on 15.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given; 5 in the published setting.
        num_workers: loader processes.
        rule: `svg` (Denton and Fergus 2018) or `srvp` (Franceschi et al. 2020): different data sets. The numbers
            published for both methods were measured by SRVP's rule.
        stochastic: whether a bounce draws a new velocity; false gives deterministic Moving MNIST.
        digits: `drawn` (embedded), `mnist10k` (mnist10k.npz) or `mnist` (the four IDX files).
        root: the folder of real digits; None means `digits` below `REELBENCH_DATA`.
        num_digits: how many move in each video.
        channels: 1, or 3 equal ones for methods built for colour.
        train_videos, val_videos, test_videos: videos of each split.
        seed: of the data, not of the run.
    """

    name = "moving_digits"
    tracks = frozenset({"bounces"})

    def __init__(
        self,
        size: int = 64,
        frames: int = 15,
        stride: int = 1,
        batch_size: int = 100,
        context: int = 0,
        num_workers: int = 0,
        rule: Rule = "svg",
        stochastic: bool = True,
        digits: Digits = "drawn",
        root: str | None = None,
        num_digits: int = 2,
        channels: Literal[1, 3] = 1,
        train_videos: int = 60_000,
        val_videos: int = 5_000,
        test_videos: int = 5_000,
        seed: int = 0,
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if size < 16:
            raise BenchError(f"data.init_args.size must be at least 16 for digits to be read, found {size}")
        if rule not in SIDES:
            raise BenchError(f"data.init_args.rule must be one of {', '.join(SIDES)}, found {rule!r}")
        if channels not in (1, 3):
            raise BenchError(f"data.init_args.channels must be 1 or 3, found {channels}")
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        counts = {f"{split}_videos": videos for split, videos in self.videos.items()} | {"num_digits": num_digits}
        for key, count in counts.items():
            if count < 1:
                raise BenchError(f"data.init_args.{key} must be at least 1, found {count}")
        self.size, self.channels, self.rule, self.stochastic = size, channels, rule, stochastic
        self.digits, self.root, self.num_digits, self.seed = digits, root, num_digits, seed

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the digits' classes as attributes, and when they bounced."""
        return super().gives(**init_args) | {"attributes", "bounces"}

    def open_store(self, split: str) -> Store:
        """The videos of a split, rendered when read."""
        return MovingDigitsStore(
            split,
            self.videos[split],
            self.size,
            self.frames * self.stride,
            self.seed,
            digit_pool(self.digits, split, self.seed, self.root),
            self.rule,
            self.stochastic,
            self.num_digits,
            self.channels,
        )
