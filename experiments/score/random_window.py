"""One window of a video whose length is known only at its end, without a second reading."""

import hashlib

import numpy as np


class RandomWindow:
    """Takes a video's frames piece by piece and holds the window that was drawn among all so far.

    The k-th window takes the place of the one held with probability 1 / k, so that each of n is held with 1 / n
    (reservoir sampling). The choice depends on seed, key and the count of frames alone; two videos of one key and one
    length give the same.

    Args:
        span: frames from a window's first to its last, both counted.
        stride: every `stride`-th of them is held.
        seed, key: decide what is drawn.

    Attributes:
        start: number of the window's first frame.
        frames: T H W C, the window; None before a whole one was seen.
    """

    def __init__(self, span: int, stride: int, seed: int, key: str) -> None:
        digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
        self._draw = np.random.default_rng(int.from_bytes(digest, "big")).random
        self._span, self._stride = span, stride
        self._seen = 0  # windows
        self._tail: np.ndarray | None = None  # the frames that later windows begin with, at most span - 1
        self.start = 0
        self.frames: np.ndarray | None = None

    def add(self, piece: np.ndarray) -> None:
        """The next frames, T H W C."""
        held = piece if self._tail is None else np.concatenate([self._tail, piece])
        new = len(held) - self._span + 1  # windows that end in this piece
        if new > 0:
            numbers = np.arange(self._seen + 1, self._seen + new + 1)
            taken = np.flatnonzero(self._draw(new) * numbers < 1)
            if len(taken):
                at = int(taken[-1])
                self.start = self._seen + at
                self.frames = held[at : at + self._span : self._stride].copy()
            self._seen += new
        self._tail = held[max(len(held) - self._span + 1, 0) :].copy()
