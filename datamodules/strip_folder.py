"""Where strips lie: one folder a category, one image a video. Which sets are published, and what a folder holds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.pictures import SUFFIXES
from datamodules.place import find_place

WEIZMANN_SUBJECTS = 9
WEIZMANN_FILES_PER_SUBJECT = 8  # 4 actions, each with its mirror image: numbers 2k and 2k + 1 are twins


@dataclass(frozen=True)
class StripSet:
    """A set of strips.

    Attributes:
        folder: below `REELBENCH_DATA`.
        origin: where to get it.
        categories: its class folders; () where they may have any names.
        val, test: default split; shares of the files, or lists of subjects.
        subjects: whether the file's number names a subject.
    """

    folder: str
    origin: str
    categories: tuple[str, ...] = ()
    val: float | list[int] = 0.05
    test: float | list[int] = 0.05
    subjects: bool = False


PUBLISHED = {
    "shape_motion": StripSet(
        folder="shape_motion_strips",
        origin="data/shapes of the MoCoGAN repository sergeytulyakov/mocogan",
        categories=("0", "1"),
    ),
    "weizmann": StripSet(
        folder="weizmann_strips",
        origin="data/actions of the MoCoGAN repository sergeytulyakov/mocogan",
        categories=("0", "1", "3", "4"),
        val=[7],
        test=[8],
        subjects=True,
    ),
}


def strip_set(dataset: str, root: str | None) -> StripSet:
    """The published set of that name, or one of the user's own, which needs `root`."""
    if dataset in PUBLISHED:
        return PUBLISHED[dataset]
    if root is None:
        raise BenchError(
            f"data.init_args.dataset is {dataset!r}; published are {', '.join(sorted(PUBLISHED))}, "
            "and a set of your own needs data.init_args.root"
        )
    return StripSet(folder=dataset, origin="your own source")


def find_root(dataset: str, known: StripSet, root: str | None) -> Path:
    """The folder of the set.

    Raises:
        BenchError: it is missing or laid out differently; says where to get it, what was expected and what was found.
    """
    names = ", ".join(known.categories) or "any names"
    get = f"Get it from {known.origin}; expected is one sub-folder a category ({names}) with one image strip a video"
    place = find_place(f"data set {dataset}", known.folder, root, f". {get}")
    found = _folders(place)
    if not found or (known.categories and tuple(found) != known.categories):
        others = sorted(set(_names(place)) - set(found))
        raise BenchError(
            f"data set {dataset} is laid out differently: {place} holds the folders {_some(found)} and the files "
            f"{_some(others)}. {get}"
        )
    return place


def list_sources(root: Path, known: StripSet) -> list[Source]:
    """Every strip of every category folder, in sorted order; `category` is the folder's place.

    Raises:
        BenchError: a category folder cannot be read or holds no strip, or a file's number names no subject.
    """
    sources = []
    for category, folder in enumerate(_folders(root)):
        entries = _names(root / folder, folders=False)
        names = [name for name in entries if name.lower().endswith(SUFFIXES)]
        if not names:
            raise BenchError(
                f"category folder {root / folder} holds no strip: looked for {', '.join(SUFFIXES)}, found "
                f"{_some(entries)}. Fill it or remove it: each folder counts as a category"
            )
        for name in names:
            attributes = {"category": category}
            if known.subjects:
                attributes["subject"] = _subject(root / folder / name)
            sources.append(Source(root / folder / name, f"{folder}/{name}", attributes))
    return sources


def _subject(path: Path) -> int:
    subject = int(path.stem) // WEIZMANN_FILES_PER_SUBJECT if path.stem.isdecimal() else -1
    if not 0 <= subject < WEIZMANN_SUBJECTS:
        last = WEIZMANN_SUBJECTS * WEIZMANN_FILES_PER_SUBJECT - 1
        raise BenchError(
            f"{path} should be named by a number from 0 to {last}: it decides the subject and so the split"
        )
    return subject


def _names(folder: Path, folders: bool = True) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and (folders or not e.is_dir()))
    except OSError as error:
        raise BenchError(f"folder {folder} cannot be read: {error.strerror}") from error


def _folders(root: Path) -> list[str]:
    """Category folders in sorted order. A link to nowhere counts as one, and fails when it is read."""
    paths = [root / name for name in _names(root)]
    return [p.name for p in paths if p.is_dir() or (p.is_symlink() and not p.exists())]


def _some(names: Sequence[str]) -> str:
    if not names:
        return "(none)"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
