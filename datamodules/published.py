"""Data sets that others publish: where they lie, what is said where they do not, and how their videos are split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.bad_files import OnError, log
from datamodules.cached_data import CachedData
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.flow_track import FlowMethod
from datamodules.place import find_place
from datamodules.reading.scaling import Fit
from datamodules.splits import by_stem
from datamodules.store import Cache
from datamodules.video_reader import VideoReader

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Published:
    """A set and the layout that it is distributed in.

    Attributes:
        title: what people call it.
        folder: below `REELBENCH_DATA`; also names its cache and its protocol.
        origin: where to get it, and what has to be done with it.
        tree: the layout expected, one path a line.
    """

    title: str
    folder: str
    origin: str
    tree: Sequence[str]

    def find(self, root: str | None) -> Path:
        """The set's folder. Raises `BenchError` where there is none."""
        return find_place(self.title, self.folder, root, f"\n{self._help()}")

    def differs(self, place: Path, missing: str) -> BenchError:
        """The error of a set that is laid out differently.

        Args:
            place: the folder that was looked into.
            missing: what it should hold.
        """
        found = some(entries(place)) if place.is_dir() else "no such folder"
        return BenchError(f"{self.title}: {missing} is missing in {place}\nFound instead: {found}\n{self._help()}")

    def _help(self) -> str:
        return "\n  ".join([f"Get it from {self.origin}\nExpected layout:", *self.tree])


@dataclass(frozen=True)
class Video:
    """One video of a published set.

    Attributes:
        source: where its frames are.
        group: videos of one group, such as a person's, are never drawn into different splits.
        split: by the published rule; None where there is none, and the set's shares decide.
    """

    source: Source
    group: str
    split: Split | None = None


class PublishedVideos(CachedData):
    """Base of the published sets. A sub-class names its `published` layout and lists its videos.

    Args:
        root: the set's folder; None takes its name below `REELBENCH_DATA`.
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes; the cache is read fastest with 0.
        channels: 3 (RGB) or 1 (luma).
        fit: how other aspects are fitted: `squash` into the frame, `crop` the middle, or `pad` with black.
        fps: frames a second that videos are brought to by their time stamps; None takes every frame of the file.
        min_frames: shorter videos are dropped and counted.
        val: share of the training videos' groups that become validation videos, where the published split has none;
            runs are watched on them. 0 trains on all of them, as published.
        flow: `dis` estimates the optical flow between neighbouring frames, both ways, once, into the cache (by OpenCV,
            the extra `flow`); clips then take every frame (`stride: 1`).
        on_error: `raise` names the files that cannot be used; `skip` leaves out up to 5 % of them; `truncate` keeps the
            sound frames of those that are cut off or damaged later on.
    """

    published: Published
    categories: Sequence[str] = ()  # names of the attribute `category`, in the order of their numbers
    test = 0.0  # share of the groups that become test videos, where no test videos are published
    expected: int | None = None  # files of the whole published set, where that is known

    def __init__(
        self,
        root: str | None = None,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        channels: int = 3,
        fit: Fit = "squash",
        fps: float | None = None,
        min_frames: int = 1,
        val: float = 0.05,
        flow: FlowMethod | None = None,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        self.know(flow)
        self.name = self.published.folder
        self.root, self.channels, self.fit, self.fps = root, channels, fit, fps
        self.min_frames, self.val, self.on_error = min_frames, val, on_error
        self.resize = "area" if fit == "squash" else f"area {fit}"
        self.reader = VideoReader(self.height, self.width, channels, fit, fps)
        self._videos: list[Video] = []

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with attributes."""
        return super().gives(**init_args) | {"attributes"}

    def list_videos(self, root: Path) -> list[Video]:
        """Every video that belongs to the set, in a fixed order. Raises `BenchError`."""
        raise NotImplementedError(f"{type(self).__name__}.list_videos")

    def videos(self) -> list[Video]:
        """`list_videos`, once; says so where it is only a part of the published set."""
        if not self._videos:
            root = self.published.find(self.root)
            self._videos = self.list_videos(root)
            if not self._videos:
                raise self.published.differs(root, "every video")
            found = len({video.source.path for video in self._videos})
            if self.expected is not None and found != self.expected:
                log.warning(
                    "%s: %d files are in %s, the published set has %d: results are not those of the whole set",
                    *(self.published.title, found, root, self.expected),
                )
        return self._videos

    def list_sources(self) -> list[Source]:
        """The videos as files of the cache."""
        return [video.source for video in self.videos()]

    def splits(self, cache: Cache) -> np.ndarray:
        """As published; what is not published is drawn by group."""
        videos = {video.source.name: video for video in self.videos()}
        kept = [videos[name] for name in cache.names]
        given = np.array([video.split or "" for video in kept])
        drawn = by_stem([video.group for video in kept], self.val, self.test)
        complete = "val" in {video.split for video in videos.values()}
        held_out = (given == "train") & (drawn == "val") & (not complete)
        return np.select([given == "", held_out], [drawn, "val"], given)

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.val={self.val}"

    def category_name(self, source: Source) -> str:
        """The category as the set names it."""
        return self.categories[source.attributes["category"]]


def entries(folder: Path) -> list[str]:
    """What a folder holds, hidden files aside, sorted. Raises `BenchError` where it cannot be read."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BenchError(f"folder {folder} cannot be read: {error.strerror}") from error


def folders(folder: Path) -> list[str]:
    """The folders in a folder, sorted; none where there is no such folder."""
    return [name for name in entries(folder) if (folder / name).is_dir()] if folder.is_dir() else []


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"


def numbered(names: Sequence[str]) -> Mapping[str, int]:
    """Numbers of distinct names, by sorted order."""
    return {name: number for number, name in enumerate(sorted(set(names)))}
