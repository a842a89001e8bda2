"""The training stream is a function of (seed, step, position in the global batch): it has no past to lose."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """One clip of one step: its place in the global batch and which item of the set it is."""

    step: int
    position: int
    item: int


@dataclass(frozen=True)
class StreamSpec:
    """What a method draws in each step.

    Attributes:
        batch: items per step over all processes; None means the datamodule's `batch_size`.
        frames: frames per item; None means the datamodule's `frames`. With 1, items are single frames drawn
            uniformly over all frames of all videos.
    """

    batch: int | None = None
    frames: int | None = None


def keyed_rng(*key: int | np.integer | str) -> np.random.Generator:
    """A generator that depends on nothing but `key`."""
    plain = tuple(part if isinstance(part, str) else int(part) for part in key)  # 3 and np.int64(3) are one key
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype="<u8")))


@lru_cache(maxsize=8)
def permutation(items: int, seed: int, stream: str, epoch: int) -> np.ndarray:
    """The order of `items` in one pass over them, read-only: it is shared between calls."""
    order = keyed_rng("epoch", seed, stream, epoch).permutation(items)
    order.setflags(write=False)
    return order


def draws(step: int, *, items: int, batch: int, seed: int, stream: str, rank: int = 0, world: int = 1) -> list[Draw]:
    """What `rank` reads at `step`: its slice of the global batch.

    Items follow one keyed permutation after another without replacement, so every `items` consecutive positions
    hold each item once. The union over ranks does not depend on `world`.
    """
    out = []
    for position in range(rank, batch, world):
        epoch, place = divmod(step * batch + position, items)
        out.append(Draw(step, position, int(permutation(items, seed, stream, epoch)[place])))
    return out


class Steps(Sampler[int]):
    """Endless step numbers from `start()` on, read when iterated: Lightning restores its counters before that."""

    def __init__(self, start: Callable[[], int]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start())


def steps_per_epoch(items: int, batch: int) -> int:
    """What schedules given in epochs call an epoch: ceil(items / global batch) steps."""
    return -(-items // batch)
