"""The videos of the two sides, by name, and which of them make pairs."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from datamodules.errors import BenchError
from datamodules.folder_files import all_videos

Side = Literal["real", "fake"]
WORD: dict[Side, str] = {"real": "real", "fake": "generated"}


@dataclass(frozen=True)
class Video:
    """One file or folder of frames.

    Attributes:
        name: below the folder that was given.
        key: by which it is paired: its stem, or its name without suffix where a side has a stem twice.
    """

    path: Path
    name: str
    key: str = ""

    @property
    def stem(self) -> str:
        """The name without folders and suffix."""
        return PurePosixPath(self.bare).name

    @property
    def bare(self) -> str:
        """The name without suffix; a folder of frames has none."""
        return self.name if self.path.is_dir() else str(PurePosixPath(self.name).with_suffix(""))


class Sides(NamedTuple):
    """The videos of both sides, in the order of their names."""

    real: list[Video]
    fake: list[Video]


class Pairing(NamedTuple):
    """Which videos belong together.

    Attributes:
        pairs: real and generated video.
        unpaired: names that have no partner, by side.
    """

    pairs: list[tuple[Video, Video]]
    unpaired: dict[Side, list[str]]


def find(real: Path, fake: Path, suffix: str | None = None) -> Sides:
    """Lists both sides and names each video by what it is paired by.

    Args:
        real, fake: a folder of videos, a folder of frames, or a file.
        suffix: takes only files that end so.

    Raises:
        BenchError: nothing there, or a side has one video twice: in two formats.
    """
    found = Sides(_listed("REAL", real, fake, suffix), _listed("FAKE", fake, real, suffix))
    if len(found.real) == len(found.fake) == 1 and not (_is_set(real, found.real) or _is_set(fake, found.fake)):
        return Sides(*([Video(v.path, v.name, "the pair")] for (v,) in found))  # two files named one after another
    twice = any(count > 1 for side in found for count in Counter(v.stem for v in side).values())
    return Sides(*([Video(v.path, v.name, v.bare if twice else v.stem) for v in side] for side in found))


def pair(sides: Sides) -> Pairing:
    """Videos of one key, in the order of the real ones."""
    fake, real = ({v.key: v for v in side} for side in (sides.fake, sides.real))
    pairs = [(v, fake[v.key]) for v in sides.real if v.key in fake]
    unpaired: dict[Side, list[str]] = {
        "real": [v.name for v in sides.real if v.key not in fake],
        "fake": [v.name for v in sides.fake if v.key not in real],
    }
    return Pairing(pairs, unpaired)


def drawn(videos: Sequence[Video], seed: int) -> list[Video]:
    """In an order keyed by seed and key, so that the first of them are a sample and both sides draw the same pairs."""
    return sorted(videos, key=lambda v: hashlib.blake2b(f"{seed}/{v.key}".encode(), digest_size=8).digest())


def _is_set(path: Path, videos: list[Video]) -> bool:
    """Whether `path` is a folder that holds videos, not a video itself."""
    return path.is_dir() and videos[0].path != path


def _listed(argument: str, path: Path, other: Path, suffix: str | None) -> list[Video]:
    if not path.exists():
        raise BenchError(f"{argument} {path}: no such file or folder")
    if not path.is_dir():
        return [Video(path, path.name)]
    # Samples are often written with the real clips in a folder below them.
    inner = other.resolve()
    below = path.resolve() in inner.parents
    found = [v for v in all_videos(path) if not (below and inner in (v.path.resolve(), *v.path.resolve().parents))]
    if suffix is not None:
        ending = suffix if suffix.startswith(".") else f".{suffix}"
        found = [video for video in found if video.name.lower().endswith(ending.lower())]
    if not found:
        what = f" whose name ends in {suffix}" if suffix else " of its own"
        raise BenchError(f"{argument} {path} holds no video{what}")
    videos = sorted((Video(video.path, video.name) for video in found), key=lambda v: v.name)
    for bare, count in Counter(v.bare for v in videos).items():
        if count > 1:
            names = ", ".join(v.name for v in videos if v.bare == bare)
            raise BenchError(
                f"{argument} {path} holds {bare} {count} times: {names}. A video must be there once, so that it is not "
                "counted twice: choose with --suffix, such as --suffix .mkv, or move one of them away"
            )
    return videos
