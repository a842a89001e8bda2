"""Videos that are rendered and then read like any others: once into the cache, with what is known of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import TrackStore
from datamodules.cache import cache_at
from datamodules.cache_build import SCHEMA, Piece
from datamodules.content import Content, Source, fingerprint
from datamodules.store import Cache
from datamodules.tracks import Track, pack_flow, per_frame

VIDEO = "video"


class _Film:
    """One video of a generator; satisfies `cache_build.Pieces`."""

    def __init__(self, store: TrackStore, video: int, tracks: Mapping[str, Track]) -> None:
        self._store, self._video, self._tracks = store, video, tracks
        self.header: int | None = int(store.lengths[video])
        self.rate: float | None = None
        self.warnings: list[str] = []
        self.broken: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        frames = np.arange(self._store.lengths[self._video])[None]
        drawn = self._store.tracks(np.array([self._video]), frames, frozenset(self._tracks) | {VIDEO})
        piece = {VIDEO: drawn.pop(VIDEO)[0].transpose(1, 2, 3, 0)}  # C T H W -> T H W C
        for key, values in drawn.items():
            values = per_frame(key, values)[0]
            dtype = np.dtype(self._tracks[key].dtype)
            packed = pack_flow(values) if values.dtype == np.float32 and dtype == np.int16 else values
            piece[key] = packed.astype(dtype, casting="same_kind")
        yield piece


class Generator:
    """A generator as one endless film of which each source is a part; satisfies `cache_build.TrackReader`.

    Args:
        store: renders the videos.
        tracks: what to keep beside the frames; flow as int16 is packed.
    """

    def __init__(self, store: TrackStore, tracks: Mapping[str, Track]) -> None:
        self._store, self.tracks = store, tracks
        self._starts = np.cumsum(store.lengths) - store.lengths
        one = store.gather(np.array([0]), np.array([[0]]))  # B T H W C
        self.shape: tuple[int, int, int] = (one.shape[2], one.shape[3], one.shape[4])
        self.policy: dict[str, Any] = {"generated": store.digest, "tracks": {k: list(t) for k, t in tracks.items()}}

    def sources(self) -> list[Source]:
        """One for each video; there are no files."""
        store = self._store
        return [
            Source(
                Path(name),
                name,
                {key: int(values[video]) for key, values in store.attributes.items()},
                int(self._starts[video]),
                int(self._starts[video] + store.lengths[video]),
            )
            for video, name in enumerate(store.names)
        ]

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """Frames of the video that begins at `start`."""
        return int(self._store.lengths[self._at(start)])

    def open(self, path: Path, start: int = 0, end: int | None = None) -> _Film:
        """The video that begins at `start`."""
        return _Film(self._store, self._at(start), self.tracks)

    def read(self, path: Path) -> np.ndarray:
        """Without its start a video cannot be told."""
        raise TypeError("a generator is read by `open`")

    def _at(self, start: int) -> int:
        return int(np.searchsorted(self._starts, start))


def open_generated(dataset: str, store: TrackStore, tracks: Mapping[str, Track]) -> Cache:
    """The cache of a generator's videos; rendered first where there is none.

    Args:
        dataset: names the cache folder.
        store: its `digest` must change with everything that changes a pixel or a track.
        tracks: what to keep beside the frames.

    Raises:
        BenchError: the disk is too small or refuses, or the cache found is damaged.
    """
    reader = Generator(store, tracks)
    sources = reader.sources()
    described = json.dumps({"policy": reader.policy, "schema": SCHEMA}, sort_keys=True)
    key = hashlib.blake2b(described.encode(), digest_size=16).hexdigest()
    content = Content(store.digest, fingerprint(sources), [(0, "generated")] * len(sources))
    return cache_at(dataset, key, sources, content, reader)
