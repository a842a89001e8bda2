"""Real digits from the user's disk: MNIST's IDX files, or its first 10,000 training digits as one npz."""

import gzip
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from datamodules.errors import BenchError

SIDE = 28
NPZ = "mnist10k.npz"
PARTS = {"train": "train", "test": "t10k"}  # how MNIST's files name them
IMAGES, LABELS = 0x803, 0x801  # IDX magic: unsigned bytes in 3 and 1 dimensions


def npz_digits(root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """`x` and `y` of `mnist10k.npz`.

    Returns:
        Images uint8 N 28 28 and digits int64 N.

    Raises:
        BenchError: the file is missing, damaged, or holds something else.
    """
    path = _folder(root) / NPZ
    if not path.is_file():
        raise _missing(path.parent, f"{NPZ}: an npz with x (uint8 N 28 28) and y (N digits)")
    try:
        with np.load(path, allow_pickle=False) as file:
            lacking = {"x", "y"} - set(file.files)
            if lacking:
                raise BenchError(f"{path} has the keys {sorted(file.files)}, expected x (uint8 N 28 28) and y (N)")
            return _checked(path, file["x"], path, file["y"])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BenchError(f"{path} is not a readable npz ({path.stat().st_size} bytes): {error}") from error


def idx_digits(root: str | None, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The `train` or `test` part of MNIST as distributed, gzipped or not; also below `MNIST/raw` and with `.idx`.

    Returns:
        Images uint8 N 28 28 and digits int64 N.

    Raises:
        BenchError: a file is missing, cut, damaged, or of another shape.
    """
    folder = _folder(root)
    images, labels = (_find(folder, f"{PARTS[part]}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    return _checked(images, read_idx(images, IMAGES), labels, read_idx(labels, LABELS))


def read_idx(path: Path, magic: int) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped or not, as its content says.

    Raises:
        BenchError: not gzip or IDX, of another kind than `magic`, cut, or too long.
    """
    raw = path.read_bytes()
    try:
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(f"{path} is a damaged gzip file ({len(raw)} bytes): {error}") from error
    found, dimensions = data[:4].hex(), magic & 0xFF
    header = 4 + 4 * dimensions
    if found != f"{magic:08x}" or len(data) < header:
        raise BenchError(f"{path} is no IDX file of that kind: it begins with {found!r}, expected '{magic:08x}'")
    shape = np.frombuffer(data, ">u4", dimensions, offset=4).astype(int)
    expected = header + int(shape.prod())
    if len(data) != expected:
        raise BenchError(
            f"{path} has {len(data)} bytes, but its header {shape.tolist()} asks for {expected}: cut short?"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _checked(images: Path, x: np.ndarray, labels: Path, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.dtype != np.uint8 or x.ndim != 3 or x.shape[1:] != (SIDE, SIDE) or not len(x):
        raise BenchError(f"{images} holds images {x.dtype} {x.shape}, expected uint8 (N, {SIDE}, {SIDE})")
    if y.shape != x.shape[:1]:
        raise BenchError(f"{labels} holds labels of shape {y.shape} for {len(x)} images of {images}")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() > 9:
        raise BenchError(f"{labels} holds labels that are not digits 0..9: {y.dtype} {y.min()}..{y.max()}")
    return x, y.astype(np.int64)


def _folder(root: str | None) -> Path:
    if root is not None:
        return Path(root).expanduser()
    if os.environ.get("REELBENCH_DATA"):
        return Path(os.environ["REELBENCH_DATA"]).expanduser() / "digits"
    raise BenchError(
        "real digits are not found: set data.init_args.root to their folder, or REELBENCH_DATA to the folder that "
        "holds digits/; data.init_args.digits: drawn needs no file"
    )


def _find(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")
    for place in (folder, folder / "MNIST" / "raw"):
        for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
            if (place / candidate).is_file():
                return place / candidate
    raise _missing(folder, f"{name} or {name}.gz: MNIST's four IDX files, there or below MNIST/raw")


def _missing(folder: Path, expected: str) -> BenchError:
    if not folder.is_dir():
        found = "that folder does not exist"
    else:
        names = sorted(path.name for path in folder.iterdir())
        found = f"found {', '.join(names[:5]) or 'nothing'}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return BenchError(
        f"real digits are not found in {folder}: expected {expected}; {found}. "
        "data.init_args.digits: drawn needs no file"
    )
