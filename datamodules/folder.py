"""Any folder of videos as clips."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.bad_files import OnError
from datamodules.cache_build import Reader
from datamodules.cached_data import CachedData
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.flow_track import FlowMethod
from datamodules.folder_files import LAYOUTS, find_videos
from datamodules.folder_manifest import MANIFEST, Row, read_manifest
from datamodules.place import find_place
from datamodules.pose.skeletons import BODY_25
from datamodules.pose_track import PoseMethod, WithPose, enlargement
from datamodules.reading.scaling import Alpha, Fit
from datamodules.splits import by_group, by_stem
from datamodules.store import Cache
from datamodules.video_reader import VideoReader

SplitBy = Literal["auto", "manifest", "subject", "stem"]


class VideoFolder(CachedData):
    """Videos of any kind below a folder, decoded once into the cache.

    Layouts: `class/clip.mp4`, `class/clip/0001.png`, strips, `.npy` and `.npz`, each also without class folders; or a
    table `manifest.csv`, see `folder_manifest.COLUMNS`. The attribute `category` numbers classes in sorted order,
    `subject` numbers subjects in sorted order; each is there if the layout or table tells it.

    Args:
        dataset: a name of your own; part of the protocol and of the cache's name.
        root: the folder; None takes `dataset` below `REELBENCH_DATA`.
        manifest: a table in `root`; None takes `manifest.csv` if there is one.
        labelled: whether batches promise `attributes`; false for a folder without classes and subjects.
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes; the cache is read fastest with 0.
        channels: 3 (RGB) or 1 (luma).
        fit: how other aspects are fitted: `squash` into the frame, `crop` the middle, or `pad` with black. The last two
            keep the aspect that a player shows.
        fps: frames a second that videos are brought to by their time stamps; None takes every frame of the file.
        alpha: what transparent pixels are laid on: `black`, `white`, or `drop`: the colours they hide.
        frame_width: of strips whose frames are not square.
        min_frames: shorter videos are dropped and counted.
        split_by: `manifest` (its column), `subject`, `stem` (a keyed hash of the file's stem), or `auto`: the first of
            them that the data can give. All clips of a subject, or of a file, are in one split.
        val, test: shares of the videos, or of the subjects; or lists of subjects. Unused with `manifest`.
        flow: `dis` estimates the optical flow between neighbouring frames, both ways, once, into the cache (by OpenCV,
            the extra `flow`); clips then take every frame (`stride: 1`).
        pose: `blazepose` estimates `pose` (body_25) of the persons in each frame, once, into the cache (by LiteRT, the
            extra `pose`, and the networks in REELBENCH_POSE_MODELS). `fit: squash` squashes the persons too, who are
            then found less well.
        persons: P of `pose`.
        on_error: `raise` names the files that cannot be used; `skip` leaves out up to 5 % of them; `truncate` keeps the
            sound frames of those that are cut off or damaged later on.
    """

    reader: VideoReader
    skeleton: str | None = None

    def __init__(
        self,
        dataset: str = "videos",
        root: str | None = None,
        manifest: str | None = None,
        labelled: bool = True,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        channels: int = 3,
        fit: Fit = "squash",
        fps: float | None = None,
        alpha: Alpha = "black",
        frame_width: int | None = None,
        min_frames: int = 1,
        split_by: SplitBy = "auto",
        val: float | list[int | str] = 0.05,
        test: float | list[int | str] = 0.05,
        flow: FlowMethod | None = None,
        pose: PoseMethod | None = None,
        persons: int = 1,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        self.know(flow)
        if "/" in dataset or dataset.startswith("."):
            raise BenchError(f"data.init_args.dataset is a name, not a path, found {dataset!r}; the path is root")
        self.name = self.dataset = dataset
        self.root, self.manifest, self.labelled = root, manifest, labelled
        self.channels, self.min_frames, self.on_error = channels, min_frames, on_error
        self.resize = "area" if fit == "squash" else f"area {fit}"
        self.reader = VideoReader(self.height, self.width, channels, fit, fps, alpha, frame_width)
        self.pose, self.persons = pose, persons
        if pose is not None:
            self._know_poses()
        self.split_by, self.val, self.test = split_by, val, test
        self._rows: list[Row] = []

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips, with attributes unless `labelled` is false, and the poses asked for."""
        keys = super().gives(**init_args) | ({"pose"} if init_args.get("pose") else set())
        return keys | {"attributes"} if init_args.get("labelled", True) else keys

    def _know_poses(self) -> None:
        if self.pose != "blazepose":
            raise BenchError(f"data.init_args.pose must be blazepose or null, found {self.pose!r}")
        if self.persons < 1:
            raise BenchError(f"data.init_args.persons must be at least 1, found {self.persons}")
        self.tracks |= {"pose"}
        self.skeleton, self.limbs = BODY_25.name, BODY_25.limbs

    def estimating_reader(self) -> Reader:
        """`reader`, with the flow and the poses asked for."""
        reader = super().estimating_reader()
        if self.pose is None:
            return reader
        times, frames = enlargement(self.height, self.width), self.reader
        size = (self.height * times, self.width * times)
        large = VideoReader(*size, 3, frames.fit, frames.fps, frames.alpha, frames.frame_width)
        return WithPose(reader, large, self.persons)

    @property
    def categories(self) -> list[str]:
        """The classes in the order of their numbers; [] without classes."""
        return _distinct([row.label for row in self.rows()])

    @property
    def subjects(self) -> list[str]:
        """The subjects in the order of their numbers; [] without subjects."""
        return _distinct([row.subject for row in self.rows()])

    def rows(self) -> list[Row]:
        """Every video of the folder or table. Raises `BenchError` where there is none."""
        if not self._rows:
            root = self._find_root()
            table = root / (self.manifest or MANIFEST)
            if self.manifest or table.is_file():
                self._rows = read_manifest(table)
            else:
                self._rows = [Row(f.path, f.name, f.label, None, 0, None, None) for f in find_videos(root)]
            self._check_labels(root)
        return self._rows

    def list_sources(self) -> list[Source]:
        """The rows as files of the cache."""
        numbers = {"category": _numbers(self.categories), "subject": _numbers(self.subjects)}
        sources = []
        for row in self.rows():
            named = {"category": row.label, "subject": row.subject}
            attributes = {key: numbers[key][text] for key, text in named.items() if text is not None}
            sources.append(Source(row.path, row.name, attributes, row.start, row.end))
        return sources

    def splits(self, cache: Cache) -> np.ndarray:
        """By table, subject or stem."""
        rows = {row.name: row for row in self.rows()}
        kept = [rows[name] for name in cache.names]
        match self._split_kind():
            case "manifest":
                return np.array([row.split for row in kept])
            case "subject" if isinstance(self.val, list) and isinstance(self.test, list):
                val, test = [str(name) for name in self.val], [str(name) for name in self.test]
                return by_group(np.array([row.subject for row in kept]), val, test)
            case "subject" if not isinstance(self.val, list) and not isinstance(self.test, list):
                return by_stem([str(row.subject) for row in kept], self.val, self.test)
            case "stem" if not isinstance(self.val, list) and not isinstance(self.test, list):
                return by_stem([row.path.stem for row in kept], self.val, self.test)
        raise BenchError(
            f"data.init_args.val and test of {self.name} are two shares or, where subjects are known, two lists of "
            f"them; found {self.val} and {self.test} with split_by: {self._split_kind()}"
        )

    def split_rule(self) -> str:
        """For messages."""
        shares = "" if self._split_kind() == "manifest" else f", val={self.val} and test={self.test}"
        return f"data.init_args.split_by: {self._split_kind()}{shares}"

    def category_name(self, source: Source) -> str:
        """The class as the folder or table names it."""
        return self.categories[source.attributes["category"]]

    def _split_kind(self) -> str:
        first = self.rows()[0]
        known = {"manifest": first.split, "subject": first.subject, "stem": first.path.stem}
        if self.split_by == "auto":
            return next(kind for kind, value in known.items() if value is not None)
        if known[self.split_by] is None:
            column = "split" if self.split_by == "manifest" else "subject"
            raise BenchError(f"data.init_args.split_by: {self.split_by} needs the column {column} of a {MANIFEST}")
        return self.split_by

    def _find_root(self) -> Path:
        return find_place(f"data set {self.dataset}", self.dataset, self.root, f". Expected there: {LAYOUTS}")

    def _check_labels(self, root: Path) -> None:
        first = self._rows[0]
        if self.labelled and first.label is None and first.subject is None:
            raise BenchError(
                f"{root} has neither class folders nor a {MANIFEST} with label or subject: set "
                "data.init_args.labelled: false"
            )


def _distinct(texts: list[str | None]) -> list[str]:
    return sorted({text for text in texts if text is not None})


def _numbers(names: list[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
