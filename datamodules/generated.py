"""Videos that are rendered and then read like any others: once into the cache, with what is known of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
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
AHEAD = 64  # frames drawn together where videos are shorter: a call costs as much as a few frames


class _Film:
    """One video of a generator; satisfies `cache_build.Pieces`."""

    def __init__(self, length: int, draw: Callable[[], dict[str, np.ndarray]], tracks: Mapping[str, Track]) -> None:
        self._draw, self._tracks = draw, tracks
        self.header: int | None = length
        self.rate: float | None = None
        self.warnings: list[str] = []
        self.broken: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        drawn = self._draw()
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
        self._ahead: tuple[range, dict[str, np.ndarray]] = range(0), {}
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
        video = self._at(start)
        return _Film(int(self._store.lengths[video]), partial(self._drawn, video), self.tracks)

    def read(self, path: Path) -> np.ndarray:
        """Without its start a video cannot be told."""
        raise TypeError("a generator is read by `open`")

    def _drawn(self, video: int) -> dict[str, np.ndarray]:
        """What is kept of a video, drawn with those that follow it where they are short: arrays of one clip."""
        videos, drawn = self._ahead
        if video not in videos:
            length = int(self._store.lengths[video])
            alike = self._store.lengths[video : video + max(1, AHEAD // length)] == length
            videos = range(video, video + int(np.cumprod(alike).sum()))
            frames = np.tile(np.arange(length), (len(videos), 1))
            drawn = self._store.tracks(np.array(videos), frames, frozenset(self.tracks) | {VIDEO})
            self._ahead = videos, drawn
        place = video - videos.start
        return {key: values[place : place + 1] for key, values in drawn.items()}

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
