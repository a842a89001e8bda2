"""How long the sequences are that a step trains on, and how far gradients go back in them."""

from typing import NamedTuple


class Lengths(NamedTuple):
    """Both double every `grow_every` steps; with 0 they stay.

    Attributes:
        start_frames: made at first.
        grow_every: steps between doublings.
        chunk_frames: made before their losses are taken and their graph is let go.
        max_frames_backprop: largest number of frames through which a gradient goes.
    """

    start_frames: int
    grow_every: int
    chunk_frames: int
    max_frames_backprop: int

    def _grown(self, step: int) -> int:
        return 1 << min(step // self.grow_every, 30) if self.grow_every else 1

    def sequence(self, step: int, most: int) -> int:
        """Frames made in a step, at most `most`."""
        return min(self.start_frames * self._grown(step), most)

    def chunks(self, frames: int) -> list[tuple[int, int]]:
        """First frame and end of each chunk of a sequence; the last may be shorter."""
        return [(a, min(a + self.chunk_frames, frames)) for a in range(0, frames, self.chunk_frames)]

    def window(self, step: int, chunk: int) -> int:
        """Frames that a gradient passes in a chunk: the largest number up to the limit that divides it."""
        limit = min(self.max_frames_backprop, chunk)
        if self.grow_every:
            limit = min(limit, self._grown(step))
        return next(w for w in range(limit, 0, -1) if chunk % w == 0)
