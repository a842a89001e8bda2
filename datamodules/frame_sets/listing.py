"""Videos as frames that lie in several files each: picture, label map, key-points, paired by their names."""

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.pictures import SUFFIXES
from datamodules.reading.frame_folder import natural

# What names add to the stem that a frame's files share.
TAGS = (
    *("_leftImg8bit", "_gtFine_labelIds", "_gtFine_instanceIds", "_labelIds", "_instanceIds"),
    *("_keypoints", "_IUV"),
)


@dataclass(frozen=True)
class FrameSource:
    """One video.

    Attributes:
        name: relative to the data set, with `/`; part of its identity.
        stems: of the frames in their order.
        frames: the files of each frame by their role; `picture` is among them.
        attributes: numbers of the video, such as its identity; all videos of a set have the same keys.
    """

    name: str
    stems: Sequence[str]
    frames: Sequence[Mapping[str, Path]]
    attributes: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.frames)

    def files(self) -> list[Source]:
        """Every file, named by video, stem and role: what identifies the content."""
        return [
            Source(path, f"{self.name}/{stem}/{role}", self.attributes)
            for stem, files in zip(self.stems, self.frames, strict=True)
            for role, path in files.items()
        ]


Frame = tuple[str, Mapping[str, Path]]  # stem, files by role


def videos_of(
    name: str, parts: Sequence[Sequence[Frame]], attributes: Mapping[str, int] | None = None
) -> list[FrameSource]:
    """A video of each stretch of frames; several of one name are told apart by their first frame."""
    parts = [part for part in parts if part]
    return [
        FrameSource(
            name if len(parts) == 1 else f"{name}/{part[0][0]}",
            tuple(stem for stem, _ in part),
            tuple(files for _, files in part),
            attributes or {},
        )
        for part in parts
    ]


class Role(NamedTuple):
    """A folder of files that each belong to one frame; `endings` say which files, case aside."""

    folder: Path
    endings: tuple[str, ...] = SUFFIXES


class Paired(NamedTuple):
    """What pairing found.

    Attributes:
        frames: stem and files by role, in natural order of the stems.
        alone: (stem, reason) of stems that not every role has.
    """

    frames: list[Frame]
    alone: list[tuple[str, str]]

    def stretches(self) -> list[list[Frame]]:
        """The frames, parted where stems without all their files were left out."""
        files, out = dict(self.frames), [list[Frame]()]
        for stem in sorted([*files, *(stem for stem, _ in self.alone)], key=natural):
            if stem in files:
                out[-1].append((stem, files[stem]))
            elif out[-1]:
                out.append([])
        return [part for part in out if part]


def pair(roles: Mapping[str, Role], more: Collection[str] = ()) -> Paired:
    """Frames that have a file in every role.

    Sorted positions are never used: one missing file would shift all that follow.

    Args:
        more: roles that may hold further frames, which are passed over.

    Raises:
        BenchError: two files of a folder have one stem.
    """
    found = {name: _stems(role) for name, role in roles.items()}
    frames: list[Frame] = []
    alone = []
    stems = set().union(*(files for name, files in found.items() if name not in more))
    for stem in sorted(stems, key=natural):
        lacking = [f"{name} ({roles[name].folder.name})" for name in roles if stem not in found[name]]
        if lacking:
            alone.append((stem, f"has no {' and no '.join(lacking)}"))
        else:
            frames.append((stem, {name: found[name][stem] for name in roles}))
    return Paired(frames, alone)


def _stems(role: Role) -> dict[str, Path]:
    files: dict[str, Path] = {}
    try:
        with os.scandir(role.folder) as found:
            names = sorted(e.name for e in found if not e.name.startswith("."))
    except OSError as error:
        raise BenchError(f"folder {role.folder} cannot be read: {error.strerror}") from error
    for name in names:
        ending = next((e for e in role.endings if name.lower().endswith(e.lower())), None)
        if ending is None:
            continue
        stem = name[: -len(ending)]
        stem = next((stem.removesuffix(tag) for tag in TAGS if stem.endswith(tag)), stem)
        if stem in files:
            raise BenchError(
                f"{role.folder}: {files[stem].name} and {name} both belong to frame {stem}; keep one of them"
            )
        files[stem] = role.folder / name
    return files


def _number(stem: str, files: Mapping[str, Path]) -> int:
    found = re.findall(r"\d+", stem)
    if not found:
        raise BenchError(f"{files['picture']}: its name has no frame number, so it is not known which frame follows it")
    return int(found[-1])


def runs(frames: Sequence[Frame], step: int | None = None) -> list[Sequence[Frame]]:
    """Stretches of frames that follow one another: the last number in each stem is the one before plus `step`.

    Args:
        frames: in the order of their numbers.
        step: None takes the commonest: sets are also published with every fourth frame.

    Raises:
        BenchError: a stem has no number.
    """
    numbers = [_number(stem, files) for stem, files in frames]
    steps = [b - a for a, b in pairwise(numbers)]
    if step is None and steps:
        step = Counter(steps).most_common(1)[0][0]
    breaks = [i for i, found in enumerate(steps, 1) if found != step]
    return [frames[a:b] for a, b in pairwise([0, *breaks, len(frames)]) if b > a]
