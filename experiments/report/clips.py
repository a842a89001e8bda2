"""Clips of a run's newest samples as data: URIs."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

SHEET = "contact.png"  # the last file that the sample writer puts into a folder


@dataclass
class Clips:
    """What a run's newest samples folder gives.

    Attributes:
        folder: its name; empty where there is none.
        fake, real: name and data: URI of each clip.
        real_digest: of the real clips' bytes: runs that were sampled beside the same clips share it.
        problems: what could not be shown.
    """

    folder: str = ""
    fake: list[tuple[str, str]] = field(default_factory=list)
    real: list[tuple[str, str]] = field(default_factory=list)
    real_digest: str = ""
    problems: list[str] = field(default_factory=list)


def read_clips(run: Path, limit: int) -> Clips:
    """The first `limit` clips of the newest folder under `samples/`, and the real ones they stand against.

    Real clips lie in `real/` in that folder, or beside it where all folders of a run share them.
    """
    found = Clips()
    folder = _newest(run / "samples")
    if folder is None or not limit:
        return found
    found.folder = folder.name
    names = sorted(path.name for path in folder.glob("*.mp4"))[:limit]
    found.fake = _embedded(folder, names, found)
    beside = next((path for path in (folder / "real", folder.parent / "real") if path.is_dir()), None)
    if beside is not None:
        real = sorted(path.name for path in beside.glob("*.mp4"))
        found.real = _embedded(beside, [name for name in names if name in real] or real[:limit], found)
    if found.real:
        found.real_digest = hashlib.sha256("".join(uri for _, uri in found.real).encode()).hexdigest()
    return found


def _newest(samples: Path) -> Path | None:
    """Complete folders, those with a contact sheet, before all others."""
    try:
        folders = [path for path in samples.iterdir() if path.name != "real" and any(path.glob("*.mp4"))]
        folders = [path for path in folders if (path / SHEET).exists()] or folders
        times = {path: max(clip.stat().st_mtime_ns for clip in path.glob("*.mp4")) for path in folders}
    except OSError:  # no samples, or being replaced while we look
        return None
    return max(folders, key=lambda path: (times[path], path.name), default=None)


def _embedded(folder: Path, names: list[str], found: Clips) -> list[tuple[str, str]]:
    clips = []
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            found.problems.append(f"{folder.name}/{name} cannot be read: {error.strerror}")
            continue
        if not is_whole(content):
            found.problems.append(f"{folder.name}/{name} is not a whole mp4; it may still be being written")
            continue
        clips.append((Path(name).stem, f"data:video/mp4;base64,{base64.b64encode(content).decode()}"))
    return clips


def is_whole(content: bytes) -> bool:
    """Whether an mp4's boxes fill the file exactly and its index (`moov`) is among them."""
    kinds, at = [], 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size == 1:  # the length stands in the next eight bytes
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        elif size == 0:  # the last box: up to the end of the file
            size = len(content) - at
        if size < 8:
            return False
        kinds.append(content[at + 4 : at + 8])
        at += size
    return at == len(content) and kinds[:1] == [b"ftyp"] and b"moov" in kinds
