"""Data sets of files: decoded once into the cache, split, and held against the rule for bad files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from datamodules.bad_files import OnError, judge, listed, log
from datamodules.base import ClipData, Store
from datamodules.cache import built_cache, open_cache
from datamodules.cache_build import Reader
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.flow_track import FlowMethod, WithFlow, check_flow
from datamodules.store import Cache
from datamodules.tracks import BETWEEN


@runtime_checkable
class HasCaches(Protocol):
    """A data set that is decoded into caches."""

    def caches(self) -> list[Cache]:
        """All of them; built first where there is none. Raises `BenchError`."""
        ...

    def built(self) -> list[Cache]:
        """Those that were built before; never builds. Raises `BenchError` where there is none, or it is damaged."""
        ...


class CachedData(ClipData):
    """Base of the data sets that read files. A sub-class says which files and splits there are.

    Attributes:
        reader: makes frames of the files.
        flow: what estimates the flow that the cache holds beside the frames; None for none.
        on_error: see `bad_files.judge`.
        min_frames: shorter videos are left out and counted; this is the set's rule, not an error.
    """

    reader: Reader
    flow: FlowMethod | None = None
    on_error: OnError = "raise"
    min_frames = 1
    _cache: Cache | None = None

    def list_sources(self) -> list[Source]:
        """Every video of the set in a fixed order. Raises `BenchError`."""
        raise NotImplementedError(f"{type(self).__name__}.list_sources")

    def splits(self, cache: Cache) -> np.ndarray:
        """`train`, `val` or `test` for each video of the cache. Raises `BenchError`."""
        raise NotImplementedError(f"{type(self).__name__}.splits")

    def split_rule(self) -> str:
        """How the splits are made, for a message about an empty one."""
        raise NotImplementedError(f"{type(self).__name__}.split_rule")

    def know(self, flow: FlowMethod | None) -> None:
        """Sets what is estimated in the frames. Raises `BenchError` where clips cannot be served with it."""
        check_flow(flow, (self.height, self.width), self.frames, self.stride)
        self.flow = flow
        self.tracks |= BETWEEN if flow else frozenset()

    def estimating_reader(self) -> Reader:
        """`reader`, with what is estimated in its frames."""
        return WithFlow(self.reader) if self.flow else self.reader

    def cache(self) -> Cache:
        """The whole set; the first process that needs it builds it.

        Raises:
            BenchError: files are bad beyond what `on_error` tolerates.
        """
        if self._cache is None:
            sources = self.list_sources()
            cache = open_cache(self.name, sources, self.estimating_reader())
            self._judge(cache, sources)
            self._cache = cache
        return self._cache

    def caches(self) -> list[Cache]:
        """The one cache; see `HasCaches`."""
        return [self.cache()]

    def built(self) -> list[Cache]:
        """See `HasCaches`."""
        return [built_cache(self.name, self.list_sources(), self.estimating_reader())]

    def open_store(self, split: str) -> Store:
        """The split's videos."""
        cache = self.cache()
        rows = np.flatnonzero(self._usable(cache) & (self.splits(cache) == split))
        if not len(rows):
            raise BenchError(
                f"{self.name}: none of {len(cache.names)} videos is in split {split!r} with {self.split_rule()}"
            )
        return cache.select(rows)

    def _usable(self, cache: Cache) -> np.ndarray:
        usable = cache.lengths >= max(self.frames, self.min_frames)
        if self.on_error != "truncate" and cache.cut:
            usable &= ~np.isin(cache.names, [name for name, _ in cache.cut])
        return usable

    def _judge(self, cache: Cache, sources: Sequence[Source]) -> None:
        """Whether what is left is the data set that was asked for."""
        lengths = dict(zip(cache.names, cache.lengths.tolist(), strict=True))
        broken = {name for name, _ in cache.cut}
        few = [(n, length) for n, length in lengths.items() if length < max(self.frames, self.min_frames)]
        few = [(n, length) for n, length in few if n not in broken or self.on_error == "truncate"]
        dropped = [
            *cache.dropped,
            *((n, f"{k} frames, fewer than min_frames={self.min_frames}") for n, k in few if k < self.min_frames),
        ]
        reason = f"frames, but a clip has data.init_args.frames={self.frames}"
        short = [(n, f"{k} {reason}") for n, k in few if k >= self.min_frames]
        bad = list(dict([*cache.skipped, *cache.cut, *short]).items())  # cut and short counts once
        self._require_categories(cache, sources, [*bad, *dropped])
        judge(self.name, cache.total, bad, self.on_error)
        if dropped:
            entries = listed(dropped)
            log.warning("%s: %d of %d videos are dropped:\n%s", self.name, len(dropped), cache.total, entries)

    def _require_categories(self, cache: Cache, sources: Sequence[Source], left_out: Sequence[tuple[str, str]]) -> None:
        if "category" not in cache.attributes:
            return
        left = set(cache.attributes["category"][self._usable(cache)].tolist())
        gone = {s.name: self.category_name(s) for s in sources if s.attributes["category"] not in left}
        if gone:
            reasons = [entry for entry in left_out if entry[0] in gone]
            names = ", ".join(sorted(set(gone.values())))
            raise BenchError(f"{self.name}: no usable video is left of category {names}:\n{listed(reasons)}")

    def category_name(self, source: Source) -> str:
        """For messages: by default the folder that the file lies in."""
        return Path(source.path).parent.name
