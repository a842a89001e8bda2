"""Whether videos can be used: each is decoded to its end, as the cache would."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.bad_files import BadFile, DroppedFile
from datamodules.build_progress import BuildProgress
from datamodules.errors import BenchError
from datamodules.folder_files import find_videos
from datamodules.folder_manifest import MANIFEST, read_manifest
from datamodules.video_reader import VideoReader

Status = Literal["ok", "warning", "error"]
SIDE = 64  # pixels that frames are scaled to


class Checked(NamedTuple):
    """What became of one video.

    Attributes:
        path: the file or folder, with `[start:end]` where a table names a part of it.
        status: `warning` where all frames are usable but a user should know something; `error` where frames are
            missing, damaged or none.
        frames: sound frames.
        reason: what was found; empty for `ok`.
    """

    path: str
    status: Status
    frames: int
    reason: str


def check(path: Path) -> Iterator[Checked]:
    """Every video of a file, folder or manifest in turn; a folder's `manifest.csv` decides, where it has one.

    Raises:
        BenchError: nothing to check.
    """
    parts = _parts(path)
    with BuildProgress("checking", len(parts)) as progress:
        for file, start, end in parts:
            done = _checked(file, start, end)
            progress.advance(videos=1, frames=done.frames)
            yield done


def _parts(path: Path) -> list[tuple[Path, int, int | None]]:
    if not path.exists():
        raise BenchError(f"{path}: no such file or folder")
    table = path / MANIFEST if path.is_dir() else path
    if table.suffix.lower() == ".csv" and table.is_file():
        return [(row.path, row.start, row.end) for row in read_manifest(table)]
    if not path.is_dir():
        return [(path, 0, None)]
    return [(found.path, 0, None) for found in find_videos(path)]


def _checked(path: Path, start: int, end: int | None) -> Checked:
    name = str(path) + (f"[{start}:{'' if end is None else end}]" if start or end is not None else "")
    reading = VideoReader(SIDE, SIDE, fit="pad").open(path, start, end)
    try:
        for _ in reading:
            pass
    except (BadFile, DroppedFile) as error:
        return Checked(name, "error", 0, str(error))
    reasons = [*([reading.broken] if reading.broken else []), *reading.warnings]
    status: Status = "error" if reading.broken else "warning" if reasons else "ok"
    return Checked(name, status, reading.length, "; ".join(reasons))
