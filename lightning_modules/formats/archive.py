"""Zip archives of numbers, checked before anything in them is read."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from datamodules.errors import BenchError
from datamodules.files import readable_size

LIMIT = 8 * 10**9  # bytes in all when unpacked; the largest official model has 1.7 GB of weights
DEFLATE = 1032  # the most that deflate packs into one byte


@contextmanager
def archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive whose members have plain names and believable sizes.

    Raises:
        BenchError: no or a damaged archive, names that point elsewhere or stand twice, or more than `LIMIT` bytes.
    """
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise BenchError(f"{path} is cut short or damaged: {error}") from error
    with opened:
        members = opened.infolist()
        _check(path, members)
        yield opened


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or any(c in name for c in "\\\0:"):
            raise BenchError(f"{path} is refused: its member {name!r} points outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BenchError(f"{path} is refused: its member {name!r} is a link")
        if name in seen:
            raise BenchError(f"{path} is refused: its member {name!r} is there twice")
        seen.add(name)
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BenchError(f"{path} is refused: its member {name!r} is encrypted or packed in an unusual way")
        if member.file_size > DEFLATE * member.compress_size + DEFLATE:
            raise BenchError(f"{path} is refused: its member {name!r} claims more bytes than it can hold")
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if unpacked > LIMIT:
        raise BenchError(
            f"{path} is refused: it unpacks to {readable_size(unpacked)}, more than {readable_size(LIMIT)}"
        )
    if packed > path.stat().st_size:
        raise BenchError(f"{path} is refused: its members overlap")
