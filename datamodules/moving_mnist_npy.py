"""Moving MNIST as published: 10,000 clips of 20 frames in one file, `mnist_test_seq.npy`, with time first."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import ClipData, Store
from datamodules.errors import BenchError
from datamodules.splits import by_stem

FILE = "mnist_test_seq.npy"
ORIGIN = "Moving MNIST, Srivastava et al. 2015, www.cs.toronto.edu/~nitish/unsupervised_video"


class NpyStore:
    """Some videos of a memory-mapped file T N H W; satisfies `datamodules.base.Store`.

    Pickled without the map: a loader worker opens the file anew.

    Args:
        path: the file.
        rows: the videos' numbers in it.
        channels: 1, or 3 equal ones.
        digest: of the file's content.
    """

    def __init__(self, path: Path, rows: np.ndarray, channels: int, digest: str) -> None:
        self.path, self.rows, self.channels = path, rows, channels
        self._map: np.ndarray | None = None
        self.lengths = np.full(len(rows), len(self._opened()), dtype=np.int64)
        self.names = [f"{path.name}#{row}" for row in rows.tolist()]
        self.attributes: Mapping[str, np.ndarray] = {}
        described = digest + repr(channels)
        self.digest = hashlib.blake2b(described.encode() + rows.astype("<i8").tobytes(), digest_size=8).hexdigest()

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B)."""
        clips = self._opened()[frames, self.rows[videos][:, None]]  # B T H W
        return np.repeat(clips[:, None], self.channels, axis=1).transpose(0, 2, 3, 4, 1)

    def _opened(self) -> np.ndarray:
        if self._map is None:
            self._map = np.asarray(opened(self.path))
        return self._map

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


class MovingMnistNpy(ClipData):
    """`mnist_test_seq.npy`, read where it lies: neither copied nor cached.

    Args:
        root: the folder of the file, or the file; None means `moving_mnist` below `REELBENCH_DATA`.
        size: height and width, which must be the file's: 64 in the published one.
        frames: T, frames of a clip; TGAN trains on 16 of the 20.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given; 10 where 10 are predicted.
        num_workers: loader processes.
        use: `shares` splits the clips into train, val and test, as for methods that train on this file (TGAN on all of
            it); `test` leaves all of them to the test split, for methods that train on generated digits.
        val, test: shares of the clips where `use` is `shares`.
        channels: 1, or 3 equal ones for methods built for colour.
    """

    name = "moving_mnist"

    def __init__(
        self,
        root: str | None = None,
        size: int = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        use: Literal["shares", "test"] = "shares",
        val: float = 0.05,
        test: float = 0.05,
        channels: Literal[1, 3] = 1,
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if channels not in (1, 3):
            raise BenchError(f"data.init_args.channels must be 1 or 3, found {channels}")
        self.root, self.use, self.val, self.test, self.channels = root, use, val, test, channels
        self._found: tuple[Path, str] | None = None

    def open_store(self, split: str) -> Store:
        """The split's clips."""
        if self._found is None:
            path = find_file(self.root)
            opened(path, self.height)
            with path.open("rb") as file:
                content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            self._found = path, content
        path, content = self._found
        count = opened(path).shape[1]
        if self.use == "test":
            splits = np.full(count, "test")
        else:
            splits = by_stem([str(row) for row in range(count)], self.val, self.test)
        rows = np.flatnonzero(splits == split)
        if not len(rows):
            raise BenchError(
                f"{self.name}: none of {count} clips is in split {split!r} with data.init_args.use={self.use}, "
                f"val={self.val} and test={self.test}"
            )
        return NpyStore(path, rows, self.channels, content)


def opened(path: Path, size: int | None = None) -> np.ndarray:
    """The file as a read-only map, uint8 T N H W.

    Raises:
        BenchError: not such a file, or frames that are not size x size.
    """
    try:
        clips = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BenchError(
            f"{path} is not a readable npy file ({path.stat().st_size} bytes; the published one has 819 MB): {error}"
        ) from error
    if not isinstance(clips, np.ndarray) or clips.dtype != np.uint8 or clips.ndim != 4 or 0 in clips.shape:
        found = f"{clips.dtype} {clips.shape}" if isinstance(clips, np.ndarray) else "an npz"
        raise BenchError(
            f"{path} holds {found}, expected uint8 (T, N, H, W): time first, (20, 10000, 64, 64) published"
        )
    times, count = clips.shape[:2]
    if times > count and count <= 64 < times:
        raise BenchError(f"{path} holds {times} frames of {count} clips: clips seem to come first; expected is T N H W")
    if size is not None and clips.shape[2:] != (size, size):
        height, width = clips.shape[2:]
        raise BenchError(
            f"data.init_args.size is {size}, but the frames of {path} are {height}x{width}; nothing is resized"
        )
    return clips


def find_file(root: str | None) -> Path:
    """The file in `root`, or `root` itself.

    Raises:
        BenchError: it is missing; says where to get it and what was found.
    """
    if root is not None:
        place = Path(root).expanduser()
    elif os.environ.get("REELBENCH_DATA"):
        place = Path(os.environ["REELBENCH_DATA"]).expanduser() / "moving_mnist"
    else:
        raise BenchError(
            f"Moving MNIST is not found: set data.init_args.root to the folder of {FILE}, or REELBENCH_DATA to the "
            f"folder that holds moving_mnist/{FILE}. Get it from {ORIGIN}"
        )
    path = place / FILE if place.is_dir() else place
    if path.is_file():
        return path
    if place.is_dir():
        names = sorted(entry.name for entry in place.iterdir())
        found = f"that folder holds {', '.join(names[:5]) or 'nothing'}"
    else:
        found = "there is no such folder"
    raise BenchError(f"Moving MNIST is not found: expected {place / FILE}, but {found}. Get it from {ORIGIN}")
