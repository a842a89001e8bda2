"""Which videos a folder holds: files, folders of frames and strips, in class folders or not."""

from pathlib import Path
from typing import NamedTuple

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.pictures import SUFFIXES
from datamodules.reading.frame_folder import natural
from datamodules.reading.kinds import VIDEO_SUFFIXES, known_kind
from datamodules.reading.open import is_strip

LAYOUTS = (
    "class/clip.mp4 (any container, .npy, .npz, or strips), class/clip/0001.png (frames), the same without class "
    "folders, or a manifest.csv"
)


class Found(NamedTuple):
    """A video of a folder; `label` is its class folder, None where it lies in none."""

    path: Path
    name: str
    label: str | None


def find_videos(root: Path) -> list[Found]:
    """Every video below `root` in a fixed order.

    A file counts by its suffix or, with another suffix or none, by its first bytes; a folder whose first picture is no
    strip is one video. The class is the first folder below `root`, unless that folder is itself a video.

    Raises:
        BenchError: no video, a folder that cannot be read, or videos inside and outside of class folders.
    """
    found = all_videos(root)
    bare = [video.name for video in found if video.label is None]
    if bare and len(bare) < len(found):
        inside = next(video.name for video in found if video.label is not None)
        raise BenchError(
            f"{root}: {len(bare)} videos lie in no class folder ({bare[0]}), {len(found) - len(bare)} do ({inside}); "
            "move them, or name label and path of each in a manifest.csv"
        )
    return found


def all_videos(root: Path) -> list[Found]:
    """As `find_videos`, where classes are of no concern and videos may lie anywhere."""
    found: list[Found] = []
    _walk(root, (), found)
    if not found:
        raise BenchError(f"{root} holds no video: found {_some(_entries(root))}, expected {LAYOUTS}")
    return found


def _walk(folder: Path, parts: tuple[str, ...], found: list[Found]) -> None:
    entries = _entries(folder)
    folders = [name for name in entries if (folder / name).is_dir()]
    files = [name for name in entries if not (folder / name).is_dir()]
    videos = [name for name in files if _is_video(folder / name)]
    pictures = [name for name in files if name.lower().endswith(SUFFIXES)]
    label = parts[0] if parts else None
    if pictures and not videos:
        if not _first_is_strip(folder, pictures):
            found.append(Found(folder, "/".join(parts) or folder.name, parts[0] if len(parts) > 1 else None))
            return
        videos = pictures
    found += [Found(folder / name, "/".join((*parts, name)), label) for name in videos]
    for name in folders:
        _walk(folder / name, (*parts, name), found)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BenchError(f"folder {folder} cannot be read: {error.strerror}") from error


def _is_video(path: Path) -> bool:
    """By suffix, so that a broken file is named and not passed over; else by content."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    if suffix in SUFFIXES:
        return False
    try:
        return known_kind(path) == "video"
    except BadFile:
        return False


def _first_is_strip(folder: Path, pictures: list[str]) -> bool:
    """The first picture that can be read decides."""
    for name in sorted(pictures, key=natural):
        try:
            return is_strip(folder / name)
        except BadFile:
            continue
    return False


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "nothing"
