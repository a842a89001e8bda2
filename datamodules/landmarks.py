"""Face landmarks from text files, one a frame: 68 lines `x,y` in dlib's order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import BenchError
from datamodules.published import entries
from datamodules.reading.frame_folder import natural

POINTS = 68


def landmarks(folder: Path, frames: Sequence[str] | None = None) -> np.ndarray:
    """Landmarks of a video, as a track `pose` holds one person: T 68 3.

    A frame without a file has no face in it (dlib writes none): its points get confidence 0, the others 1.

    Args:
        folder: with `0001.txt`, ...
        frames: names of the video's frames, to which the files belong by their stems; None where there are none, as for
            a video file: the files' names are then numbers of frames, and the first and last of them its ends.

    Returns:
        float32 T 68 3: x, y in pixels, confidence.

    Raises:
        BenchError: no file, a file that belongs to no frame, or one that does not hold 68 points.
    """
    files = [name for name in entries(folder) if name.endswith(".txt")] if folder.is_dir() else []
    if not files:
        raise BenchError(f"{folder} holds no landmarks: expected a file 0001.txt a frame, with {POINTS} lines `x,y`")
    stems = [Path(name).stem for name in files]
    if frames is not None:
        order = {Path(name).stem: place for place, name in enumerate(frames)}
    else:
        order = _numbered(folder, stems)
    strange = sorted(set(stems) - set(order), key=natural)
    if strange:
        raise BenchError(
            f"{folder}/{strange[0]}.txt belongs to none of {len(order)} frames; files are named like frames"
        )
    out = np.zeros((max(order.values()) + 1, POINTS, 3), dtype=np.float32)
    for name, stem in zip(files, stems, strict=True):
        out[order[stem], :, :2] = _points(folder / name)
        out[order[stem], :, 2] = 1
    return out


def _numbered(folder: Path, stems: Sequence[str]) -> dict[str, int]:
    wrong = [stem for stem in stems if not stem.isdecimal()]
    if wrong:
        raise BenchError(f"{folder}/{wrong[0]}.txt should be named by its frame's number")
    first = min(int(stem) for stem in stems)
    return {stem: int(stem) - first for stem in stems}


def _points(path: Path) -> np.ndarray:
    """float32 68 2."""
    try:
        points = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise BenchError(f"{path}: expected {POINTS} lines `x,y`: {error}") from error
    if points.shape != (POINTS, 2) or not np.isfinite(points).all():
        raise BenchError(f"{path}: found {points.shape[0]} lines of {points.shape[1]} values, expected {POINTS} `x,y`")
    return points
