"""BAIR robot pushing, small: 64x64 videos of a robot arm among objects, 30 frames each, in TFRecord files."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from datamodules.bad_files import BadFile, OnError, judge
from datamodules.base import Store
from datamodules.cache import open_cache
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.from_start import FirstFrames, FromStart
from datamodules.store import Cache, CachedStore
from datamodules.tfrecord import Feature, count_records, read_records

Camera = Literal["image_main", "image_aux1"]

FOLDER = "softmotion30_44k"
FRAMES, SIDE = 30, 64
NAME = re.compile(r"traj_(\d+)_to_(\d+)\.tfrecords")
WHERE = (
    f"Get bair_robot_pushing_dataset_v0.tar (Berkeley robot pushing, Ebert et al. 2017); expected is {FOLDER}/ with "
    "train/ and test/, each holding traj_0_to_255.tfrecords, traj_256_to_511.tfrecords and so on"
)


class Trajectory(NamedTuple):
    """One video and what the robot did.

    Attributes:
        frames: uint8 30 64 64 3.
        action: float32 30 4.
        position: float32 30 3, of the end effector.
    """

    frames: np.ndarray
    action: np.ndarray
    position: np.ndarray


class BairReader:
    """Makes the frames of all trajectories of a file, one after the other; satisfies `datamodules.cache.Reader`.

    Args:
        camera: whose frames.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.shape = (SIDE, SIDE, 3)
        self.policy: dict[str, Any] = {"reader": "bair", "camera": camera}

    def count(self, path: Path) -> int:
        """Frames of the file, from the records' headers and its name, which says how many trajectories there are."""
        records, name = count_records(path), NAME.fullmatch(path.name)
        promised = int(name[2]) - int(name[1]) + 1 if name else records
        if records != promised or not records:
            raise BadFile(f"{records} records, but its name promises {promised}: cut between two records?")
        return records * FRAMES

    def read(self, path: Path) -> np.ndarray:
        """uint8 N * 30 64 64 3."""
        videos = []
        for record in read_records(path):
            try:
                videos.append(frames_of(record.features(), self.camera))
            except ValueError as error:
                raise record.bad(str(error)) from error
        return np.concatenate(videos)


class BairPush(FromStart):
    """BAIR robot pushing, decoded once into the cache.

    The official test split has 256 trajectories; val is taken from the training files. Evaluation clips begin with the
    trajectory. Actions are not part of a batch; `trajectories` reads them.

    Args:
        root: the folder with train/ and test/; None means `softmotion30_44k` below `REELBENCH_DATA`.
        camera: `image_aux1`, which SVG and all that compare with it use, or `image_main`.
        size: height and width, which must be 64.
        frames: T, frames of a clip; SVG trains on 12.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given; 2 in the published setting.
        num_workers: loader processes; the cache is read fastest with 0.
        start: training clips begin at the `first` frame (SVG's loader) or at `any` (SRVP's).
        val: training files that are the val split; SAVP's choice by default.
        on_error: `raise` names the files that cannot be used; `skip` leaves out up to 5 % of them.
    """

    name = "bair_push"
    video_frames = FRAMES

    def __init__(
        self,
        root: str | None = None,
        camera: Camera = "image_aux1",
        size: int = SIDE,
        frames: int = 12,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        start: Literal["first", "any"] = "any",
        val: tuple[str, ...] = ("traj_256_to_511.tfrecords",),
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if size != SIDE:
            raise BenchError(f"data.init_args.size of {self.name} must be {SIDE}, found {size}: nothing is resized")
        if camera not in ("image_main", "image_aux1"):
            raise BenchError(f"data.init_args.camera must be image_main or image_aux1, found {camera!r}")
        self.root, self.start, self.val, self.on_error = root, start, tuple(val), on_error
        self.name, self.reader = f"bair_push_{camera}", BairReader(camera)
        self._caches: dict[str, Cache] = {}

    def open_store(self, split: str) -> Store:
        """The split's trajectories; the first process that needs the cache builds it, train/ and test/ apart."""
        folder = "test" if split == "test" else "train"
        if folder not in self._caches:
            self._caches[folder] = self._open(folder)
        cache = self._caches[folder]
        files = [name.rpartition("/")[2] for name in cache.names]
        unknown = set(self.val) - set(files) if folder == "train" else set()
        if unknown:
            raise BenchError(f"data.init_args.val names {', '.join(sorted(unknown))}, not usable files of train/")
        splits = [folder if folder == "test" or name not in self.val else "val" for name in files]
        rows = np.flatnonzero(np.array(splits) == split)
        if not len(rows):
            raise BenchError(f"{self.name}: no file is in split {split!r} with data.init_args.val={list(self.val)}")
        store = divided(cache.select(rows), FRAMES)
        return FirstFrames(store, self.frames * self.stride) if self.start == "first" else store

    def _open(self, folder: str) -> Cache:
        cache = open_cache(f"{self.name}_{folder}", list_files(find_root(self.root), folder), self.reader)
        judge(self.name, cache.total, cache.skipped, self.on_error)
        return cache


def trajectories(path: Path, camera: Camera = "image_aux1") -> list[Trajectory]:
    """All trajectories of a file, with what the robot did.

    Raises:
        BadFile: the file is damaged or holds something else; names record and byte.
    """
    out = []
    for record in read_records(path):
        features = record.features()
        try:
            numbers = [_numbers(features, key, count) for key, count in (("action", 4), ("endeffector_pos", 3))]
            out.append(Trajectory(frames_of(features, camera), *numbers))
        except ValueError as error:
            raise record.bad(str(error)) from error
    return out


def frames_of(features: Mapping[str, Feature], camera: Camera) -> np.ndarray:
    """uint8 30 64 64 3 of one example. Raises `ValueError` where a frame is missing or has another size."""
    frames = np.empty((FRAMES, SIDE * SIDE * 3), dtype=np.uint8)
    for step in range(FRAMES):
        key = f"{step}/{camera}/encoded"
        value = features.get(key)
        if value is None:
            some = ", ".join(sorted(features)[:4])
            raise ValueError(f"it has no {key}, but {len(features)} features: {some}...")
        if not isinstance(value, list) or len(value) != 1 or len(value[0]) != frames.shape[1]:
            sizes = [len(v) for v in value] if isinstance(value, list) else f"{value.dtype} {value.shape}"
            raise ValueError(f"{key} has {sizes} bytes, expected one raw frame of {frames.shape[1]} (64x64x3)")
        frames[step] = np.frombuffer(value[0], dtype=np.uint8)
    return frames.reshape(FRAMES, SIDE, SIDE, 3)


def _numbers(features: Mapping[str, Feature], key: str, count: int) -> np.ndarray:
    """float32 30 `count`."""
    rows = []
    for step in range(FRAMES):
        value = features.get(f"{step}/{key}")
        if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.shape != (count,):
            found = "nothing" if value is None else type(value).__name__ + str(np.shape(value))
            raise ValueError(f"{step}/{key} should hold {count} floats, found {found}")
        rows.append(value)
    return np.stack(rows)


def divided(store: CachedStore, length: int) -> CachedStore:
    """The videos of `store`, each a run of videos of `length` frames, taken apart; named by file and place in it."""
    counts = store.lengths // length
    file = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(file)) - np.repeat(np.cumsum(counts) - counts, counts)
    return CachedStore(
        path=store.path,
        record=store.record,
        offsets=store.offsets[file] + place * length,
        lengths=np.full(len(file), length, dtype=np.int64),
        names=[f"{store.names[f]}#{p}" for f, p in zip(file.tolist(), place.tolist(), strict=True)],
        attributes={key: values[file] for key, values in store.attributes.items()},
        digest=hashlib.blake2b(f"{store.digest} in runs of {length}".encode(), digest_size=8).hexdigest(),
    )


def find_root(root: str | None) -> Path:
    """The folder with train/ and test/.

    Raises:
        BenchError: it is missing; says where to get it, what is expected and what was found.
    """
    if root is not None:
        place = Path(root).expanduser()
    elif os.environ.get("REELBENCH_DATA"):
        place = Path(os.environ["REELBENCH_DATA"]).expanduser() / FOLDER
    else:
        raise BenchError(
            f"BAIR robot pushing is not found: set data.init_args.root to the folder {FOLDER}, or REELBENCH_DATA to "
            f"the one that holds it. {WHERE}"
        )
    if (place / FOLDER).is_dir():  # the folder that the archive was unpacked into
        place = place / FOLDER
    if all((place / part).is_dir() for part in ("train", "test")):
        return place
    found = f"{place} holds {_some(place)}" if place.is_dir() else f"{place} does not exist"
    raise BenchError(f"BAIR robot pushing is not found: {found}. {WHERE}")


def list_files(root: Path, folder: str) -> list[Source]:
    """The TFRecord files of train/ or test/ in the order of their trajectories.

    Raises:
        BenchError: there is none.
    """
    found = [(NAME.fullmatch(path.name), path) for path in (root / folder).iterdir()]
    files = sorted((int(name[1]), path) for name, path in found if name)
    if not files:
        raise BenchError(f"{root / folder} holds no file traj_A_to_B.tfrecords, but {_some(root / folder)}. {WHERE}")
    return [Source(path, f"{folder}/{path.name}", {}) for _, path in files]


def _some(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return (", ".join(names[:5]) or "nothing") + (f" and {len(names) - 5} more" if len(names) > 5 else "")
