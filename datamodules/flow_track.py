"""Optical flow of real videos as tracks of the cache: estimated once, read as int16 beside the frames."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules import flow as dis
from datamodules.cache_build import Piece, PieceReader, Pieces, Reader, Whole
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.tracks import BETWEEN, Track, pack_flow

FlowMethod = Literal["dis"]
SMALLEST = 16  # pixels of a side: DIS matches patches


def check_flow(flow: FlowMethod | None, size: tuple[int, int], frames: int, stride: int) -> None:
    """Refuses what flow in a cache cannot serve.

    It runs between neighbouring frames. What lies between frames t and t + s is not the sum of what lies between their
    neighbours, which a cache holds, so clips with flow take every frame.

    Raises:
        BenchError: naming the argument.
    """
    if flow is None:
        return
    if flow != "dis":
        raise BenchError(f"data.init_args.flow must be dis or null, found {flow!r}")
    if stride != 1:
        raise BenchError(
            f"data.init_args.stride must be 1 with flow: {flow}, found {stride}: the cache holds the flow between "
            "neighbouring frames. Slower or faster clips are had with fps, where the data set has it"
        )
    if frames < 2:
        raise BenchError(f"data.init_args.flow: {flow} runs between frames, but a clip has frames={frames}; set null")
    if min(size) < SMALLEST:
        raise BenchError(
            f"data.init_args.flow: {flow} needs frames of at least {SMALLEST}x{SMALLEST} pixels, found size "
            f"{size[0]} x {size[1]}"
        )


def flow_tracks(height: int, width: int) -> dict[str, Track]:
    """How a cache holds it: 10 bytes a pixel."""
    vectors, plane = Track("int16", (2, height, width)), Track("uint8", (height, width))
    return {key: plane if key.endswith("valid") else vectors for key in sorted(BETWEEN)}


def flow_between(frames: np.ndarray) -> dict[str, np.ndarray]:
    """The tracks of T - 1 frames: from each of uint8 T H W C to the next and back."""
    flow = dis.estimate(frames)
    return {
        "flow": pack_flow(flow.forward.transpose(1, 0, 2, 3)),  # 2 T-1 H W -> T-1 2 H W
        "flow_back": pack_flow(flow.backward.transpose(1, 0, 2, 3)),
        "flow_valid": flow.valid.astype(np.uint8),
        "flow_back_valid": flow.back_valid.astype(np.uint8),
    }


def no_flow(height: int, width: int) -> dict[str, np.ndarray]:
    """The tracks of one frame that none follows."""
    return {key: np.zeros((1, *t.shape), t.dtype) for key, t in flow_tracks(height, width).items()}


class WithFlow:
    """A reader's frames with the flow between them; satisfies `cache_build.TrackReader`.

    Args:
        reader: of the frames.

    Raises:
        BenchError: OpenCV is missing; names the extra.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.shape = reader.shape
        self.tracks: Mapping[str, Track] = flow_tracks(*reader.shape[:2])
        self.policy: Mapping[str, Any] = {**reader.policy, "flow": dis.policy()}

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """As the reader of the frames."""
        return self.reader.count(path, start, end) if isinstance(self.reader, PieceReader) else self.reader.count(path)

    def open(self, path: Path, start: int = 0, end: int | None = None) -> "_FlowPieces":
        """The frames `start:end` with their flow."""
        return _FlowPieces(pieces(self.reader, path, start, end))

    def read(self, path: Path) -> np.ndarray:
        """The frames alone."""
        return self.reader.read(path)


def pieces(reader: Reader, path: Path, start: int, end: int | None) -> Pieces:
    """One pass over a part of a video, also of a reader that knows whole videos only."""
    if isinstance(reader, PieceReader):
        return reader.open(path, start, end)
    return Whole(reader, Source(path, path.name, {}, start, end))


class _FlowPieces:
    """Gives a frame when the next one, or the end, is known; satisfies `cache_build.Pieces`."""

    def __init__(self, frames: Pieces) -> None:
        self._frames = frames
        self.header, self.rate = frames.header, frames.rate
        self.warnings, self.broken = frames.warnings, frames.broken

    def __iter__(self) -> Iterator[Piece]:
        last: np.ndarray | None = None
        for piece in self._frames:
            assert isinstance(piece, np.ndarray)
            clip = piece if last is None else np.concatenate([last, piece])
            last = clip[-1:]
            if len(clip) > 1:
                yield {"video": clip[:-1], **flow_between(clip)}
        if last is not None:
            yield {"video": last, **no_flow(*last.shape[1:3])}
        self.header, self.rate = self._frames.header, self._frames.rate
        self.warnings, self.broken = self._frames.warnings, self._frames.broken
