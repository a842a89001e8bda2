import os
from pathlib import Path

from datamodules.errors import BenchError

VARIABLE = "REELBENCH_DATA"


def find_place(title: str, folder: str, root: str | None, expected: str) -> Path:
    """The folder of a data set: `root` where it is given, else `folder` below `REELBENCH_DATA`.

    Args:
        title: what people call the set.
        folder: its name below `REELBENCH_DATA`.
        root: `data.init_args.root`.
        expected: where to get the set and what its folder should hold; ends every message.

    Raises:
        BenchError: neither is set, or there is no such folder.
    """
    if root is not None:
        place = Path(root).expanduser()
    elif os.environ.get(VARIABLE):
        place = Path(os.environ[VARIABLE]).expanduser() / folder
    else:
        raise BenchError(
            f"{title} is not found: set data.init_args.root to its folder, or {VARIABLE} to the folder that holds "
            f"{folder}/{expected}"
        )
    if not place.is_dir():
        what = "is a file" if place.exists() else "does not exist"
        raise BenchError(f"{title} is not found: {place} {what}{expected}")
    return place
