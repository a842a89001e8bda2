"""MoCoGAN's data sets as clips: shape motion, Weizmann, or any folder of image strips."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bad_files import OnError
from datamodules.cached_data import CachedData
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.splits import by_group, by_stem
from datamodules.store import Cache
from datamodules.strip_folder import find_root, list_sources, strip_set
from datamodules.strip_reader import Resize, StripReader


class Strips(CachedData):
    """Videos stored as image strips, decoded once into the cache.

    `category` numbers the class folders in sorted order. Weizmann also has `subject` and is split by it, because a
    subject's eight files show one person and pairs of them are mirror images; other sets are split by a keyed hash of
    the file's stem.

    Args:
        dataset: `shape_motion`, `weizmann`, or a name of your own together with `root`.
        root: the folder with one sub-folder a category; None finds published sets below `REELBENCH_DATA`.
        size: height and width of the frames, or (height, width). Frames of other sizes are resized by `resize`.
        frames: T, frames of a clip.
        stride: every `stride`-th frame; MoCoGAN's code takes every second.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes; the cache is read fastest with 0.
        min_frames: strips with fewer are dropped and counted; 32 as in the official loader.
        resize: `area`, `bilinear`, or `bilinear_strip`, the official rule; see `StripReader`.
        frame_width: of frames that are not square.
        val, test: shares of the files, or for Weizmann lists of subjects; None takes 0.05 each, or subjects 7 and 8.
        on_error: `raise` names the files that cannot be used; `skip` and `truncate` leave out up to 5 % of them.
    """

    def __init__(
        self,
        dataset: str = "shape_motion",
        root: str | None = None,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 2,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        min_frames: int = 32,
        resize: Resize = "area",
        frame_width: int | None = None,
        val: float | list[int] | None = None,
        test: float | list[int] | None = None,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        self.known = strip_set(dataset, root)
        self.dataset, self.root, self.on_error = dataset, root, on_error
        self.name, self.resize = f"{dataset}_strips", resize
        self.reader = StripReader(self.height, self.width, resize, frame_width, min_frames)
        self.val = self.known.val if val is None else val
        self.test = self.known.test if test is None else test

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the attribute `category`, for Weizmann also `subject`."""
        return super().gives(**init_args) | {"attributes"}

    def list_sources(self) -> list[Source]:
        """Every strip of every category folder."""
        return list_sources(find_root(self.dataset, self.known, self.root), self.known)

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.val={self.val} and test={self.test}"

    def splits(self, cache: Cache) -> np.ndarray:
        """Split name of each video."""
        val, test, subjects = self.val, self.test, cache.attributes.get("subject")
        if subjects is not None and isinstance(val, list) and isinstance(test, list):
            return by_group(subjects, val, test)
        if subjects is None and not isinstance(val, list) and not isinstance(test, list):
            return by_stem([Path(name).stem for name in cache.names], val, test)
        kind = "shares of the files" if subjects is None else "lists of subjects"
        raise BenchError(f"data.init_args.val and test of {self.name} are {kind}, found {val} and {test}")
