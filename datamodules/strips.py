"""MoCoGAN's data sets as clips: shape motion, Weizmann, or any folder of image strips."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bad_files import OnError, judge, listed, log
from datamodules.base import ClipData, Store
from datamodules.cache import open_cache
from datamodules.errors import BenchError
from datamodules.splits import by_group, by_stem
from datamodules.store import Cache
from datamodules.strip_folder import find_root, list_sources, strip_set
from datamodules.strip_reader import Resize, StripReader


class Strips(ClipData):
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
        on_error: `raise` names the files that cannot be used; `skip` leaves out up to 5 % of them.
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
        self._cache: Cache | None = None

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the attribute `category`, for Weizmann also `subject`."""
        return super().gives(**init_args) | {"attributes"}

    def open_store(self, split: str) -> Store:
        """The split's videos; the first process that needs the cache builds it."""
        if self._cache is None:
            self._cache = self._open()
        cache = self._cache
        rows = np.flatnonzero((cache.lengths >= self.frames) & (self._splits(cache) == split))
        if not len(rows):
            raise BenchError(
                f"{self.name}: none of {len(cache.names)} videos is in split {split!r} with "
                f"data.init_args.val={self.val} and test={self.test}"
            )
        return cache.select(rows)

    def _open(self) -> Cache:
        sources = list_sources(find_root(self.dataset, self.known, self.root), self.known)
        cache = open_cache(self.name, sources, self.reader)
        long = cache.lengths >= self.frames
        short = [
            (cache.names[row], f"{cache.lengths[row]} frames, but a clip has data.init_args.frames={self.frames}")
            for row in np.flatnonzero(~long)
        ]
        bad = [*cache.skipped, *short]
        left = set(cache.attributes["category"][long].tolist())
        gone = {s.name: s.path.parent.name for s in sources if s.attributes["category"] not in left}
        if gone:
            reasons = [entry for entry in [*bad, *cache.dropped] if entry[0] in gone]
            names = ", ".join(sorted(set(gone.values())))
            raise BenchError(f"{self.name}: no usable video is left of category {names}:\n{listed(reasons)}")
        judge(self.name, cache.total, bad, self.on_error)
        if cache.dropped:
            entries = listed(cache.dropped)
            log.warning("%s: %d of %d strips are dropped:\n%s", self.name, len(cache.dropped), cache.total, entries)
        return cache

    def _splits(self, cache: Cache) -> np.ndarray:
        """Split name of each video."""
        val, test, subjects = self.val, self.test, cache.attributes.get("subject")
        if subjects is not None and isinstance(val, list) and isinstance(test, list):
            return by_group(subjects, val, test)
        if subjects is None and not isinstance(val, list) and not isinstance(test, list):
            return by_stem([Path(name).stem for name in cache.names], val, test)
        kind = "shares of the files" if subjects is None else "lists of subjects"
        raise BenchError(f"data.init_args.val and test of {self.name} are {kind}, found {val} and {test}")
