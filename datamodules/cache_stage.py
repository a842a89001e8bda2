"""A copy of a cache on the node's own disk, for jobs whose file server is slow at random reads."""

import os
import shutil
import time
import uuid
from pathlib import Path

from datamodules.build_progress import say
from datamodules.errors import BenchError
from datamodules.files import Lease, cannot_write, free_bytes, readable_size
from datamodules.store import FRAMES, INDEX, MANIFEST

VARIABLE = "REELBENCH_STAGE"
WAIT = 0.5  # seconds between looks at a copy that another process makes


def staged(folder: Path) -> Path:
    """Where to read the cache `folder`: below `REELBENCH_STAGE`, copied there first, or `folder` itself without it.

    A copy counts once its manifest is the original's: it is copied last.

    Raises:
        BenchError: the disk is too small, or refuses.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return folder
    copy = Path(place).expanduser() / folder.name
    lease = Lease(copy.with_name(f".{copy.name}.lease"))
    while not _same(folder, copy):
        if lease.acquire():
            try:
                if not _same(folder, copy):
                    _copy(folder, copy)
            finally:
                lease.release()
        else:
            time.sleep(WAIT)
    return copy


def _same(folder: Path, copy: Path) -> bool:
    try:
        return (copy / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()
    except OSError:
        return False


def _copy(folder: Path, copy: Path) -> None:
    need, free = sum((folder / name).stat().st_size for name in (FRAMES, INDEX, MANIFEST)), free_bytes(copy)
    if need > free:
        raise BenchError(
            f"{VARIABLE}={copy.parent} has {readable_size(free)} free, but the cache {folder.name} needs "
            f"{readable_size(need)}; free space, name another disk, or unset it to read {folder} in place"
        )
    say(f"copying {folder} ({readable_size(need)}) to {copy.parent}, {readable_size(free)} free")
    half = copy.with_name(f".{copy.name}.copying-{uuid.uuid4().hex[:8]}")
    try:
        for left in copy.parent.glob(f".{copy.name}.copying-*"):
            shutil.rmtree(left, ignore_errors=True)
        half.mkdir(parents=True)
        for name in (FRAMES, INDEX, MANIFEST):
            shutil.copyfile(folder / name, half / name)
        shutil.rmtree(copy, ignore_errors=True)  # of another manifest: damaged, or left half by hand
        half.rename(copy)
    except OSError as error:
        raise cannot_write(copy, error) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
