"""One pass over a video: its clips a few at a time, and what a reader of the numbers should know of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from datamodules.bad_files import BadFile, DroppedFile
from datamodules.video_reader import VideoReader
from experiments.score.policy import Policy
from experiments.score.random_window import RandomWindow

# Of clips given together, at most, but always one clip. What metrics make of a clip depends by rounding on the clips
# beside it, so this is fixed.
FRAMES_AT_ONCE = 64
BYTES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Facts:
    """What became of a video.

    Attributes:
        skipped: why none of its clips is scored; empty for a sound video.
        clips: how many it gave.
        start: frame with which the first of them begins.
        left: frames, read or named by its header, that are in no clip.
        size: height and width of its own frames.
        lossy: how it was compressed with loss; None where it was not.
        warnings: of the reader.
    """

    skipped: str = ""
    clips: int = 0
    start: int = 0
    left: int = 0
    size: tuple[int, int] | None = None
    lossy: str | None = None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Any) -> Self:
        """From what `as_dict` gave, through JSON."""
        size = tuple(kept["size"]) if kept["size"] else None
        return cls(**{**kept, "size": size, "warnings": tuple(kept["warnings"])})


class ClipReading:
    """uint8 B C T H W clips of one video. `facts` is complete when they have ended; a video with a reason to be skipped
    counts as a whole, also where it gave clips before the reason was found.

    Args:
        reader: decides size, channels and rate.
        policy: decides which frames make clips.
        key: of the video, by which a random window is drawn.
    """

    def __init__(self, reader: VideoReader, policy: Policy, path: Path, key: str = "") -> None:
        self._reader, self._policy, self._path = reader, policy, path
        self._random = None
        if policy.windows == "random":
            self._random = RandomWindow(policy.needed, policy.stride, policy.seed, key)
        self.facts = Facts()

    def __iter__(self) -> Iterator[Tensor]:
        policy = self._policy
        reading = self._reader.open(self._path, 0, policy.span)
        bytes_of_clip = policy.frames * int(np.prod(self._reader.shape))
        at_once = max(1, min(FRAMES_AT_ONCE // policy.frames, BYTES_AT_ONCE // bytes_of_clip)) * policy.frames
        most = policy.frames if policy.windows == "first" else None
        waiting: list[np.ndarray] = []  # frames T H W C of the clips to come
        held = given = seen = 0
        try:
            for piece in reading:
                if self._random is not None:
                    self._random.add(piece)
                    continue
                taken = piece[-seen % policy.stride :: policy.stride]
                seen += len(piece)
                taken = taken if most is None else taken[: most - given - held]
                waiting.append(taken)
                held += len(taken)
                while held >= at_once:
                    clips, waiting = self._clips(waiting, at_once)
                    held, given = held - at_once, given + at_once
                    yield clips
            if self._random is not None and self._random.frames is not None:
                waiting, held = [self._random.frames], policy.frames
            whole = held // policy.frames * policy.frames
            if whole:
                given += whole
                yield self._clips(waiting, whole)[0]
        except (BadFile, DroppedFile) as error:
            self.facts = Facts(skipped=str(error))
            return
        # The header counts stored frames, so it tells nothing of a video that was brought to another rate.
        length = reading.length if policy.fps is not None else max(reading.length, reading.claimed)
        count = given // policy.frames
        short = f"has {reading.length} frame{'s' * (reading.length != 1)}, {policy.needed} are needed"
        whole_but_short = not count and (reading.broken is None or reading.length >= reading.claimed > 0)
        self.facts = Facts(
            skipped=short if whole_but_short else reading.broken or "",
            clips=count,
            start=0 if self._random is None else self._random.start,
            left=max(length - (given * policy.stride if policy.windows == "all" else policy.needed), 0),
            size=reading.size,
            lossy=reading.lossy,
            warnings=tuple(reading.warnings),
        )

    def _clips(self, waiting: list[np.ndarray], count: int) -> tuple[Tensor, list[np.ndarray]]:
        """The first `count` frames as clips, and what is left."""
        frames = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        clips = frames[:count].reshape(-1, self._policy.frames, *frames.shape[1:])  # B T H W C
        return torch.from_numpy(np.ascontiguousarray(clips.transpose(0, 4, 1, 2, 3))), [frames[count:]]
