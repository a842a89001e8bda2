"""Pairs of one person or garment in two poses: the lists on which Deformable GAN and PATN are trained and tested."""

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.pose.skeletons import COCO_18
from datamodules.pose.textfile import read_table

HEADER = "from,to"
TEST_PAIRS = 12000  # how many the published test lists have at most
_TORSO = [COCO_18.index(f"{side}_{joint}") for side in ("right", "left") for joint in ("shoulder", "hip")]
_NOBODY = ("-1", "0000")  # Market-1501's junk and distractors


class Pair(NamedTuple):
    """Names of the image to start from and of the image whose pose is wanted."""

    source: str
    target: str


def market_identity(name: str) -> str:
    """`0002` of `0002_c1s1_000451_03.jpg`."""
    return name.partition("_")[0]


def fashion_identity(name: str) -> str:
    """Garment and colour: all before the last `_`, since categories such as `Blouses_Shirts` hold one as well."""
    return name.rpartition("_")[0]


def all_pairs(names: Sequence[str], poses: np.ndarray, identity: Callable[[str], str]) -> list[Pair]:
    """Every ordered pair of two images of an identity.

    Both need a pose with shoulders and hips; names that start with -1 or 0000 are left out. Identities come in the
    order of their first image, images in the order given: which pairs `sampled` takes depends on it.

    Args:
        poses: N 18 3 of COCO_18.
    """
    whole = np.all(poses[:, _TORSO, 2] > 0, axis=1)
    images: dict[str, list[str]] = {}
    for name, usable in zip(names, whole, strict=True):
        if usable and not name.startswith(_NOBODY):
            images.setdefault(identity(name), []).append(name)
    return [Pair(*pair) for group in images.values() for pair in permutations(group, 2)]


def sampled(pairs: Sequence[Pair], most: int = TEST_PAIRS, seed: int = 0) -> list[Pair]:
    """Up to `most` of the pairs in random order: the published test lists, line by line, with the defaults.

    They were drawn by a data frame's `sample`, that is by NumPy's legacy generator.
    """
    order = np.random.RandomState(seed).permutation(len(pairs))[:most]
    return [pairs[i] for i in order]


def read_pairs(path: Path) -> list[Pair]:
    """A pair list; raises `BenchError` that names the line."""
    pairs = []
    for number, line in read_table(path, HEADER):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 2 or not all(fields):
            raise BenchError(f"{path}, line {number}: {line[:60]!r} found, expected two names separated by a comma")
        pairs.append(Pair(*fields))
    return pairs


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """The reverse of `read_pairs`."""
    write_whole(path, "\n".join([HEADER, *(f"{a},{b}" for a, b in pairs)]) + "\n")
