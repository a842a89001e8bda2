"""Published sets that spread a frame over several folders."""

from dataclasses import dataclass
from pathlib import Path

from datamodules.published import Published


@dataclass(frozen=True)
class Layout(Published):
    """A set and the layout that it is distributed in, of which folders can be required."""

    def require(self, place: Path, *names: str) -> Path:
        """The first of the folders `names` in `place` that is there.

        Raises:
            BenchError: none is; shows what lies where the first should be.
        """
        for name in names:
            if (place / name).is_dir():
                return place / name
        above = (place / names[0]).parent
        while not above.is_dir() and above != place:
            above = above.parent
        raise self.differs(above, " or ".join(f"the folder {name}" for name in names))
