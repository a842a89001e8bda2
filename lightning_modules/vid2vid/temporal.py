"""Which frames the discriminators of time judge together."""


def groups(start: int, stop: int, frames: int, scale: int) -> list[list[int]]:
    """Groups of frames that end in a chunk, the last first, as the official code takes them.

    Args:
        start, stop: the chunk's first frame, and the one after its last.
        frames: in a group (officially 3).
        scale: of time: neighbours in a group are `frames ** scale` frames apart.

    Returns:
        Frame numbers of each group; they may lie before the chunk, never before 0. Groups end `frames` apart.
    """
    skip = frames**scale
    ends = range(stop - 1, start - 1, -frames)
    return [list(range(end - skip * (frames - 1), end + 1, skip)) for end in ends if end >= skip * (frames - 1)]


def reach(frames: int, scales: int) -> int:
    """How many frames before a chunk its groups may need."""
    return frames ** (scales - 1) * (frames - 1) if scales else 0
