"""Poses of real videos as a track of the cache: estimated once, while the frames are decoded."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.bad_files import BadFile, listed
from datamodules.cache_build import Piece, PieceReader, Pieces, Reader, TrackReader
from datamodules.cache_journal import Entry
from datamodules.errors import BenchError
from datamodules.flow_track import pieces
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.blazepose.models import POSE_DETECTION, POSE_LANDMARK, model_path
from datamodules.pose.estimator import PoseReport
from datamodules.pose.skeletons import BODY_25
from datamodules.tracks import Track

PoseMethod = Literal["blazepose"]
SIDE = 256  # pixels of the shorter side, at least, at which persons are looked for


def enlargement(height: int, width: int) -> int:
    """By which whole factor frames are larger when persons are looked for in them."""
    return max(1, -(-SIDE // min(height, width)))


class WithPose:
    """A reader's frames with the persons in them; satisfies `cache_build.TrackReader`.

    One person more than are kept is looked for, so that the report can tell of persons who were left out.

    Args:
        reader: of the frames.
        large: of the same frames, RGB and `enlargement` times as large: on small ones joints are found badly.
        persons: P of the track `pose` of body_25; a person keeps his row while he is seen.

    Raises:
        BenchError: a model or the extra `pose` is missing.
    """

    def __init__(self, reader: Reader, large: Reader, persons: int) -> None:
        self.reader, self.large, self.persons = reader, large, persons
        self.shape = reader.shape
        known = reader.tracks if isinstance(reader, TrackReader) else {}
        self.tracks: Mapping[str, Track] = {**known, "pose": Track("float32", (persons, len(BODY_25), 3))}
        self.policy: Mapping[str, Any] = {**reader.policy, "pose": {"persons": persons, "side": SIDE, **_models()}}

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """As the reader of the frames."""
        return self.reader.count(path, start, end) if isinstance(self.reader, PieceReader) else self.reader.count(path)

    def open(self, path: Path, start: int = 0, end: int | None = None) -> "_PosePieces":
        """The frames `start:end` with their poses."""
        frames, large = pieces(self.reader, path, start, end), pieces(self.large, path, start, end)
        return _PosePieces(frames, large, self.large.shape[0] / self.shape[0], self.persons)

    def read(self, path: Path) -> np.ndarray:
        """The frames alone."""
        return self.reader.read(path)

    def summary(self, entries: Sequence[Entry]) -> list[str]:
        """What was found in all videos, and the videos of which a user should know."""
        found = [(entry["name"], entry["found"]) for entry in entries if "found" in entry]
        total = {key: sum(f[key] for _, f in found) for key in ("frames", "nobody", "more", "left")}
        lines = [
            f"poses: nobody in {total['nobody']:,} of {total['frames']:,} frames, more than {self.persons} in "
            f"{total['more']:,}, {total['left']:,} times someone left or was lost"
        ]
        told = [(name, "; ".join(f["told"])) for name, f in found if f["nobody"] or f["more"] or f["left"]]
        return lines + ([listed(told, most=20)] if told else [])


class _PosePieces:
    """Two passes over a video side by side; satisfies `cache_build.Pieces`."""

    def __init__(self, frames: Pieces, large: Pieces, scale: float, persons: int) -> None:
        self._frames, self._large, self._scale, self._persons = frames, large, scale, persons
        self.header, self.rate = frames.header, frames.rate
        self.warnings, self.broken = frames.warnings, frames.broken
        self.found: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Piece]:
        look = BlazePose(persons=self._persons + 1).following()
        large = self._large_frames()
        there: list[np.ndarray] = []
        began = time.perf_counter()
        for piece in self._frames:
            known = {"video": piece} if isinstance(piece, np.ndarray) else dict(piece)
            poses = np.stack([look(self._next(large)) for _ in known["video"]])  # T P J 3
            there.append(np.any(poses[..., 2] > 0, axis=-1))
            yield {**known, "pose": self._in_frame(poses[:, : self._persons])}
        self.header, self.rate = self._frames.header, self._frames.rate
        self.warnings, self.broken = self._frames.warnings, self._frames.broken
        if there:
            self.found = _told(np.concatenate(there), self._persons, time.perf_counter() - began)

    def _large_frames(self) -> Iterator[np.ndarray]:
        for piece in self._large:
            assert isinstance(piece, np.ndarray)
            yield from piece

    def _next(self, large: Iterator[np.ndarray]) -> np.ndarray:
        frame = next(large, None)
        if frame is None:
            raise BadFile(f"changed while it was read: {self._large.broken or 'its large frames end first'}")
        return frame

    def _in_frame(self, poses: np.ndarray) -> np.ndarray:
        """Poses in the large frames' pixels -> in the frames'. Centres of pixels stand at whole numbers."""
        xy = (poses[..., :2] + 0.5) / self._scale - 0.5
        return np.where(poses[..., 2:] > 0, np.concatenate([xy, poses[..., 2:]], -1), 0).astype(np.float32)


def _told(there: np.ndarray, persons: int, seconds: float) -> dict[str, Any]:
    """For the manifest, of who is there (T P+1)."""
    report = PoseReport.of(np.repeat(there[..., None, None], 3, -1).astype(np.float32), seconds)
    return {
        "frames": len(there),
        "nobody": int((report.persons == 0).sum()),
        "more": int((report.persons > persons).sum()),
        "left": int(report.left.sum()),
        "told": report.lines(),
    }


def _models() -> dict[str, Any]:
    """What decides the poses: the networks' files and what runs them."""
    try:
        runtime = version("ai-edge-litert")
    except PackageNotFoundError as error:
        raise BenchError(f"pose: blazepose needs the extra `pose`: pip install 'reelbench[pose]' ({error})") from error
    files = {}
    for name in (POSE_DETECTION, POSE_LANDMARK):
        path = model_path(name, None)
        try:
            files[name] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise BenchError(f"{path} cannot be read: {error.strerror}") from error
    return {"method": "blazepose", "models": files, "litert": runtime}
