"""Pose-guided generation: a picture of a person or garment, and the same one in another pose."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.bad_files import OnError, judge
from datamodules.base import Store
from datamodules.errors import BenchError
from datamodules.flip import Flipped
from datamodules.frame_sets.cached import FrameFiles, frame_cache, frame_store, usable
from datamodules.frame_sets.keypoints import Table
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.reader import FrameReader, Framing
from datamodules.layout import Layout
from datamodules.pair_store import PairStore
from datamodules.pose.keypoint_csv import read_keypoints
from datamodules.pose.pairs import Pair, all_pairs, read_pairs, sampled
from datamodules.pose.skeletons import COCO_18
from datamodules.splits import by_stem
from datamodules.store import Cache

TrainPairs = Literal["pose_gan", "pg2", "file"]
TestPairs = Literal["file", "rule"]


class PairData(Flipped):
    """Base of the sets that pose-gan's and PATN's annotation files describe. Clips are pairs of one frame.

    Args:
        root: the set's folder; None takes its name below `REELBENCH_DATA`.
        size: height and width of the frames, or (height, width).
        batch_size: pairs per step over all processes.
        num_workers: loader processes.
        train_pairs: `pose_gan` takes all ordered pairs of an identity whose two poses have shoulders and hips
            (Deformable GAN, PATN); `pg2` those in which somebody was found; `file` reads them.
        test_pairs: `file` reads the published list; `rule` makes it from the annotation, equal line by line where the
            annotation is the published one.
        val: share of the training identities that become validation pairs; the papers train on all, 0.
        flip: mirrors training pairs with probability 1/2; right and left joints change places.
        on_error: `raise` names the annotated pictures that are missing or broken; `skip` leaves out up to 5 % of them.
    """

    layout: Layout
    framing: Framing | None = None  # the part of the pictures that is shown
    skeleton = COCO_18.name
    tracks = frozenset({"pose", "source", "source_pose", "mask"})
    # Names of the annotation and pair files by `train` and `test`; the first that is there is read.
    annotation_files: Mapping[str, Sequence[str]]
    pair_files: Mapping[str, Sequence[str]]

    def __init__(
        self,
        root: str | None = None,
        size: int | tuple[int, int] = 256,
        batch_size: int = 4,
        num_workers: int = 0,
        train_pairs: TrainPairs = "pose_gan",
        test_pairs: TestPairs = "file",
        val: float = 0.0,
        flip: bool = False,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, 1, 1, batch_size, 0, num_workers)
        self.name, self.root, self.flip, self.on_error = self.layout.folder, root, flip, on_error
        self.train_pairs, self.test_pairs, self.val = train_pairs, test_pairs, val
        self.resize = "area"

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Targets with their poses and masks, sources with theirs, and attributes."""
        return super().gives(**init_args) | cls.tracks | {"attributes"}

    def key(self, name: str) -> str:
        """What spellings of a picture's name have in common."""
        return name

    def identity(self, name: str) -> str:
        """Of a name as the annotation spells it."""
        raise NotImplementedError(f"{type(self).__name__}.identity")

    def pictures(self, root: Path, part: str) -> Mapping[str, Path]:
        """The pictures of `train` or `test` by their key. Raises `BenchError`."""
        raise NotImplementedError(f"{type(self).__name__}.pictures")

    def attributes(self, name: str) -> Mapping[str, int]:
        """Numbers of a picture."""
        return {}

    def open_store(self, split: str) -> Store:
        """The split's pairs."""
        names, pairs, images, reader = self._listed(split)
        cache = frame_cache(self._cache_name(split), FrameFiles(images, reader))
        judge(f"{self.layout.title} {split}", cache.total, cache.skipped, self.on_error)
        broken = {name for name, _ in cache.skipped}
        pairs = [pair for pair in pairs if not broken & set(pair)]
        kept = usable(cache, images, self.on_error)
        row = {image.name: i for i, image in enumerate(kept)}
        rows = np.array([[row[pair.source], row[pair.target]] for pair in pairs], dtype=np.int64).reshape(-1, 2)
        return PairStore(frame_store(cache, images, kept), rows, self._attributes(pairs, names))

    def caches(self) -> list[Cache]:
        """Of the pictures of every split; see `cached_data.HasCaches`."""
        return self._caches(build=True)

    def built(self) -> list[Cache]:
        """See `cached_data.HasCaches`."""
        return self._caches(build=False)

    def _caches(self, build: bool) -> list[Cache]:
        splits = ("train", "val", "test") if self.val else ("train", "test")
        return [frame_cache(self._cache_name(split), FrameFiles(*self._listed(split)[2:]), build) for split in splits]

    def _cache_name(self, split: str) -> str:
        return f"{self.name}_{split}"

    def _listed(self, split: str) -> tuple[list[str], list[Pair], list[FrameSource], FrameReader]:
        """The names of the annotation; the split's pairs, their pictures, and what reads these with their poses."""
        root, part = self.layout.find(self.root), "test" if split == "test" else "train"
        names, poses = read_keypoints(self._first(root, self.annotation_files[part]))
        pairs = self._in_split(split, self._pairs(root, part, names, poses))
        files = self.pictures(root, part)
        pairs = self._with_pictures(part, pairs, files)
        used = sorted({name for pair in pairs for name in pair})
        known = set(used)
        table = Table({n: pose for n, pose in zip(names, poses, strict=True) if n in known}, self.skeleton)
        reader = FrameReader(self.height, self.width, [table], framing=self.framing)
        return names, pairs, [FrameSource(n, (n,), ({"picture": files[self.key(n)]},), {}) for n in used], reader

    def _pairs(self, root: Path, part: str, names: Sequence[str], poses: np.ndarray) -> list[Pair]:
        """By the rule or from the file, with the names of the annotation."""
        rule = self.train_pairs if part == "train" else self.test_pairs
        if rule != "file":
            if rule == "pg2":
                somebody = np.any(poses[..., 2] > 0, axis=1)
                poses = np.broadcast_to(somebody[:, None, None], poses.shape)  # every joint there, or none
            pairs = all_pairs(names, poses, self.identity)
            return sampled(pairs) if rule == "rule" else pairs
        path = self._first(root, self.pair_files[part])
        spelled = {self.key(name): name for name in names}
        pairs = read_pairs(path)
        unknown = sorted({name for pair in pairs for name in pair if self.key(name) not in spelled})
        if unknown:
            raise BenchError(
                f"{self.layout.title}: {path.name} names {len(unknown)} pictures without annotation, such as "
                f"{unknown[0]}; annotation and pair file are not of one split (an older and a newer one are published)"
            )
        return [Pair(spelled[self.key(pair.source)], spelled[self.key(pair.target)]) for pair in pairs]

    def _in_split(self, split: str, pairs: list[Pair]) -> list[Pair]:
        if split != "test":
            identities = sorted({self.identity(pair.target) for pair in pairs})
            splits = dict(zip(identities, by_stem(identities, self.val, 0).tolist(), strict=True))
            pairs = [pair for pair in pairs if splits[self.identity(pair.target)] == split]
        if not pairs:
            raise BenchError(f"{self.layout.title}: no pair is in split {split!r} with data.init_args.val={self.val}")
        return pairs

    def _with_pictures(self, part: str, pairs: list[Pair], files: Mapping[str, Path]) -> list[Pair]:
        used = sorted({name for pair in pairs for name in pair})
        lost = {name for name in used if self.key(name) not in files}
        bad = [(name, "annotated, but there is no such picture") for name in sorted(lost)]
        judge(f"{self.layout.title} {part}", len(used), bad, self.on_error)
        return [pair for pair in pairs if not lost & set(pair)] if lost else pairs

    def _attributes(self, pairs: Sequence[Pair], names: Sequence[str]) -> dict[str, np.ndarray]:
        """`identity`, numbered in sorted order over the annotation, and what is known of both pictures."""
        number = {identity: i for i, identity in enumerate(sorted({self.identity(name) for name in names}))}
        out = {"identity": np.array([number[self.identity(pair.target)] for pair in pairs], dtype=np.int64)}
        for key in self.attributes(pairs[0].target):
            out[key] = np.array([self.attributes(pair.target)[key] for pair in pairs], dtype=np.int64)
            out[f"source_{key}"] = np.array([self.attributes(pair.source)[key] for pair in pairs], dtype=np.int64)
        return out

    def _first(self, root: Path, names: Sequence[str]) -> Path:
        for name in names:
            if (root / name).is_file():
                return root / name
        raise self.layout.differs(root, f"the file {' or '.join(names)}")
