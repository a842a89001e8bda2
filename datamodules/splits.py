"""Who belongs to train, val and test: a function of names or groups, the same on every machine."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from datamodules.errors import BenchError


def by_stem(stems: Sequence[str], val: float, test: float) -> np.ndarray:
    """Split of each stem, drawn by a keyed hash: adding files moves no other file to another split.

    Args:
        stems: file names without folder and suffix; equal stems share a split.
        val, test: share of the files expected in each; the rest is train.
    """
    if min(val, test) < 0 or val + test >= 1:
        raise BenchError(f"data.init_args.val and test are shares with val + test < 1, found {val} and {test}")
    place = np.array([_place(stem) for stem in stems])
    return np.select([place < val, place < val + test], ["val", "test"], "train")


def by_group(groups: np.ndarray, val: Sequence[int | str], test: Sequence[int | str]) -> np.ndarray:
    """Split of each member of a group, such as the videos of a subject; groups that are not named are train."""
    found: set[Any] = set(groups.tolist())
    both: set[Any] = set(val) & set(test)
    unknown: set[Any] = (set(val) | set(test)) - found
    if both or unknown:
        wrong = f"{sorted(both)} is in both" if both else f"{sorted(unknown)} is not among {sorted(found)}"
        raise BenchError(f"data.init_args.val={list(val)} and test={list(test)} must name different groups: {wrong}")
    return np.select([np.isin(groups, np.array(val)), np.isin(groups, np.array(test))], ["val", "test"], "train")


def _place(stem: str) -> float:
    digest = hashlib.blake2b(f"reelbench split {stem}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
