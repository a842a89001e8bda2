"""Frames of many files each, decoded once into the cache with what is known of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import flow as dis
from datamodules.bad_files import BadFile, OnError
from datamodules.cache import built_cache, open_cache
from datamodules.cache_build import Piece
from datamodules.content import Source
from datamodules.flow_track import flow_between, flow_tracks, no_flow
from datamodules.frame_sets.listing import Frame, FrameSource, videos_of
from datamodules.frame_sets.reader import FrameReader
from datamodules.store import Cache, CachedStore
from datamodules.tracks import Track


class FrameFiles:
    """The frames of a set one by one; satisfies `cache_build.TrackReader`.

    Each frame is an entry of its own in the cache. So a build holds one frame in memory, goes on behind the last frame
    that was done, and a broken file costs one frame, of which the store then makes what `on_error` says.

    Args:
        videos: of one phase. A picture belongs to one of their frames.
        reader: makes frames and tracks of them.
        flow: whether the flow to the next frame is estimated.

    Raises:
        BenchError: OpenCV, which `flow` needs, is missing; names the extra.
    """

    noun = "frames"

    def __init__(self, videos: Sequence[FrameSource], reader: FrameReader, flow: bool = False) -> None:
        self.videos, self.reader, self.flow = videos, reader, flow
        self.shape: tuple[int, int, int] = reader.shape
        self.tracks: Mapping[str, Track] = reader.tracks
        self.policy: Mapping[str, Any] = reader.policy
        if flow:
            self.tracks = {**self.tracks, **flow_tracks(*self.shape[:2])}
            self.policy = {**self.policy, "flow": dis.policy()}
        self._places = {
            files["picture"]: (video, t) for video, found in enumerate(videos) for t, files in enumerate(found.frames)
        }

    def sources(self) -> list[Source]:
        """One for each frame; its picture stands for it, and its other files belong to it."""
        return [
            Source(
                files["picture"],
                frame_name(video, stem),
                {},
                more=tuple((role, path) for role, path in sorted(files.items()) if role != "picture"),
            )
            for video in self.videos
            for stem, files in zip(video.stems, video.frames, strict=True)
        ]

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """A picture is one frame."""
        return 1

    def open(self, path: Path, start: int = 0, end: int | None = None) -> "_One":
        """The frame of that picture."""
        video, frame = self._places[path]
        return _One(self, self.videos[video], frame)

    def read(self, path: Path) -> np.ndarray:
        """uint8 1 H W 3 of the frame of that picture. Raises `BadFile`."""
        video, frame = self._places[path]
        return self.reader.picture(self.videos[video], frame)[None]


class _One:
    """One frame with its tracks; satisfies `cache_build.Pieces`."""

    def __init__(self, files: FrameFiles, video: FrameSource, frame: int) -> None:
        self._files, self._video, self._frame = files, video, frame
        self.header: int | None = None
        self.rate: float | None = None
        self.warnings: list[str] = []
        self.broken: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        known = self._files.reader.frame(self._video, self._frame)
        flow = self._to_next(known["video"]) if self._files.flow else {}
        yield {key: values[None] for key, values in known.items()} | flow

    def _to_next(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        following = self._frame + 1
        try:
            if following < len(self._video):
                return flow_between(np.stack([picture, self._files.reader.picture(self._video, following)]))
        except BadFile:  # is named when its own turn comes, and parts the video here
            pass
        return no_flow(*picture.shape[:2])


def frame_name(video: FrameSource, stem: str) -> str:
    """Of a frame in the cache, and in messages about it."""
    return video.name if len(video) == 1 else f"{video.name}/{stem}"


def frame_cache(dataset: str, files: FrameFiles, build: bool = True) -> Cache:
    """The cache of all frames; built first where there is none.

    Args:
        dataset: names the cache folder.
        build: false only finds what was built before.

    Raises:
        BenchError: no frame can be used, the disk is too small or fails, or the cache found is damaged.
    """
    return open_cache(dataset, files.sources(), files) if build else built_cache(dataset, files.sources(), files)


def usable(cache: Cache, videos: Sequence[FrameSource], on_error: OnError) -> list[FrameSource]:
    """`videos` without the frames that could not be used: such a frame parts its video, or with `truncate` ends it."""
    bad = {name for name, _ in cache.skipped}
    out = []
    for video in videos:
        parts: list[list[Frame]] = [[]]
        for stem, files in zip(video.stems, video.frames, strict=True):
            if frame_name(video, stem) not in bad:
                parts[-1].append((stem, files))
            elif on_error == "truncate":
                break
            elif parts[-1]:
                parts.append([])
        out += videos_of(video.name, parts, video.attributes) if len(video) > 1 or parts[0] else []
    return out


def frame_store(cache: Cache, videos: Sequence[FrameSource], parts: Sequence[FrameSource]) -> CachedStore:
    """The videos of a cache as a store.

    Args:
        cache: of `videos`.
        parts: some or all of what `usable` gave.
    """
    rows = {name: row for row, name in enumerate(cache.names)}
    row_of = {
        files["picture"]: rows.get(frame_name(video, stem))
        for video in videos
        for stem, files in zip(video.stems, video.frames, strict=True)
    }
    attributes = {
        key: np.array([part.attributes[key] for part in parts], dtype=np.int64) for key in parts[0].attributes
    }
    joined = [np.array([row_of[files["picture"]] for files in part.frames], dtype=np.int64) for part in parts]
    return cache.join(joined, [part.name for part in parts], attributes)
