"""Landmarks of faces in videos as a track of the cache, and what is drawn of them."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.cache_build import Piece, PieceReader, Pieces, Reader, TrackReader
from datamodules.errors import BenchError
from datamodules.flow_track import pieces
from datamodules.frame_sets.keypoints import face_rows
from datamodules.frame_sets.view import Box, View
from datamodules.landmarks import landmarks
from datamodules.pose.face_map import CHANNELS, POINTS, face_map
from datamodules.pose.skeletons import FACE_70
from datamodules.published import entries
from datamodules.reading.open import open_video
from datamodules.reading.orientation import UPRIGHT, turn_of
from datamodules.reading.scaling import Fit, Scaler
from datamodules.tracks import Track


class WithLandmarks:
    """A reader's frames with `pose`, a face's 68 points as the rows of face_70; satisfies `cache_build.TrackReader`.

    Points are those of files `0000.txt` for a video's first frame and so on, in pixels of the upright picture. A frame
    without a file has no face: all its points are missing.

    Args:
        reader: of the frames, which takes every frame of a file.
        fit: how it fits them.
        folder: where the landmarks of a video lie.
        edges: whether there is a `condition` too, see `pose.face_map`.
    """

    def __init__(self, reader: Reader, fit: Fit, folder: Callable[[Path], Path], edges: bool) -> None:
        self.reader, self.fit, self.folder, self.edges = reader, fit, folder, edges
        self.shape = reader.shape
        known = dict(reader.tracks) if isinstance(reader, TrackReader) else {}
        known["pose"] = Track("float32", (1, len(FACE_70), 3))
        if edges:
            known["condition"] = Track("uint8", (CHANNELS, *self.shape[:2]))
        self.tracks: Mapping[str, Track] = known
        self.policy: Mapping[str, Any] = {**reader.policy, "landmarks": "face map 1" if edges else "face_70"}

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """As the reader of the frames."""
        return self.reader.count(path, start, end) if isinstance(self.reader, PieceReader) else self.reader.count(path)

    def open(self, path: Path, start: int = 0, end: int | None = None) -> "_FacePieces":
        """The frames `start:end` with their landmarks. Raises `BadFile` where these cannot be read."""
        return _FacePieces(pieces(self.reader, path, start, end), self.points(path), start, end, self.edges)

    def read(self, path: Path) -> np.ndarray:
        """The frames alone."""
        return self.reader.read(path)

    def points(self, path: Path) -> np.ndarray:
        """float32 T 70 3 in the frames' pixels, also outside of them; T up to the last frame with a face."""
        folder = self.folder(path)
        try:
            last = max((int(name[:-4]) for name in entries(folder) if name[:-4].isdecimal()), default=0)
            found = landmarks(folder, [f"{number:04}" for number in range(last + 1)])
        except BenchError as error:
            raise BadFile(str(error)) from error
        rows = np.stack([face_rows(points) for points in found])
        return self._view(path).points(rows, outside=True)

    def _view(self, path: Path) -> View:
        height, width, channels = self.shape
        with open_video(path) as video:
            frame = next(iter(video.pictures())).frame
            if video.aspect != 1 and self.fit != "squash":
                raise BadFile(f"pixels are not square ({video.aspect}): its landmarks need fit: squash")
        size = (frame.height, frame.width)
        if (turn_of(frame) or UPRIGHT).transpose:
            size = size[::-1]
        return View(Scaler(height, width, channels, self.fit, "drop", Fraction(1)), size, Box.whole(size))


class _FacePieces:
    """Satisfies `cache_build.Pieces`."""

    def __init__(self, frames: Pieces, points: np.ndarray, start: int, end: int | None, edges: bool) -> None:
        self._frames, self._points, self._edges = frames, points[start:end], edges
        self.header, self.rate = frames.header, frames.rate
        self.warnings, self.broken = frames.warnings, frames.broken

    def __iter__(self) -> Iterator[Piece]:
        at = faces = 0
        for piece in self._frames:
            known = {"video": piece} if isinstance(piece, np.ndarray) else dict(piece)
            count = len(known["video"])
            rows = np.zeros((count, len(FACE_70), 3), dtype=np.float32)
            there = self._points[at : at + count]
            rows[: len(there)] = there
            at, faces = at + count, faces + int(rows[..., 2].any(1).sum())
            if self._edges:
                frames = np.broadcast_to(known["video"], (*known["video"].shape[:3], 3))  # grey ones as well
                drawn = [face_map(points[:POINTS], frame) for points, frame in zip(rows, frames, strict=True)]
                known["condition"] = np.stack(drawn)
            yield {**known, "pose": _within(rows, *known["video"].shape[1:3])[:, None]}
        self.header, self.rate = self._frames.header, self._frames.rate
        self.warnings, self.broken = list(self._frames.warnings), self._frames.broken
        if len(self._points) > at and self.broken is None:
            self.broken = f"has landmarks of frame {len(self._points) - 1}, counted from 0, but {at} frames"
        if faces < at:
            self.warnings.append(f"no landmarks in {at - faces} of {at} frames")


def _within(rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Points outside the frame are missing."""
    x, y = rows[..., 0], rows[..., 1]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return np.where(inside[..., None], rows, np.float32(0))
