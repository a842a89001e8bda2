"""Published data sets on disk: where they are looked for, and what a user is told when they are not there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import BenchError


@dataclass(frozen=True)
class Layout:
    """How a data set is distributed.

    Attributes:
        title: what people call it.
        folder: below `REELBENCH_DATA`.
        origin: where to get it, and what has to be done with it.
        tree: the layout expected, one path a line.
    """

    title: str
    folder: str
    origin: str
    tree: Sequence[str]

    def find(self, root: str | None) -> Path:
        """`root`, or the set's folder below `REELBENCH_DATA`.

        Raises:
            BenchError: there is no such folder.
        """
        if root is not None:
            place = Path(root).expanduser()
        elif os.environ.get("REELBENCH_DATA"):
            place = Path(os.environ["REELBENCH_DATA"]).expanduser() / self.folder
        else:
            raise BenchError(
                f"{self.title} is not found: set data.init_args.root to its folder, or REELBENCH_DATA to the folder "
                f"that holds {self.folder}/\n{self._help()}"
            )
        if not place.is_dir():
            what = "is a file" if place.exists() else "does not exist"
            raise BenchError(f"{self.title} is not found: {place} {what}\n{self._help()}")
        return place

    def differs(self, place: Path, missing: str) -> BenchError:
        """The error of a set that is laid out differently.

        Args:
            place: the folder that was looked into.
            missing: what it should hold.
        """
        found = some(entries(place)) if place.is_dir() else "no such folder"
        return BenchError(f"{self.title}: {missing} is missing in {place}\nFound instead: {found}\n{self._help()}")

    def require(self, place: Path, *names: str) -> Path:
        """The first of the folders `names` in `place` that is there.

        Raises:
            BenchError: none is.
        """
        for name in names:
            if (place / name).is_dir():
                return place / name
        above = (place / names[0]).parent
        while not above.is_dir() and above != place:
            above = above.parent
        raise self.differs(above, " or ".join(f"the folder {name}" for name in names))

    def _help(self) -> str:
        return "\n  ".join([f"Get it from {self.origin}\nExpected layout:", *self.tree])


def entries(folder: Path) -> list[str]:
    """What a folder holds, hidden files aside, sorted. Raises `BenchError` where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found if not entry.name.startswith("."))
    except OSError as error:
        raise BenchError(f"folder {folder} cannot be read: {error.strerror}") from error


def folders(folder: Path) -> list[str]:
    """The folders in a folder, sorted."""
    return [name for name in entries(folder) if (folder / name).is_dir()]


def some(names: Sequence[str], most: int = 8) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"
