"""What a data set is: its files' bytes, names and attributes, hashed. Cheap to ask again while no file was touched."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import BenchError
from datamodules.files import write_whole

UNREADABLE = (-1, "unreadable")


@dataclass(frozen=True)
class Source:
    """One file of a data set.

    Attributes:
        path: where it lies.
        name: relative to the data set, with `/`; part of its identity.
        attributes: numbers of its video, such as category and subject; all sources of a set have the same keys.
    """

    path: Path
    name: str
    attributes: Mapping[str, int]


@dataclass(frozen=True)
class Content:
    """The identity of a set of files.

    Attributes:
        digest: of every file's bytes, name and attributes.
        fingerprint: of the files before they were read; see `fingerprint`.
        files: size in bytes and digest of each file, in order; empty where `digest` was remembered.
    """

    digest: str
    fingerprint: str
    files: Sequence[tuple[int, str]] = ()


def fingerprint(sources: Sequence[Source]) -> str:
    """Changes whenever a file may have changed: of paths, sizes and time stamps, read by one `stat` a file.

    The inode's change time is in it, so content put in place with the old modification time is noticed.
    """
    digest = hashlib.blake2b(digest_size=16)
    for source in sources:
        try:
            stat = source.path.stat()
            state: tuple[int, ...] | str = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        except OSError as error:
            state = str(error.strerror)
        record = (os.fspath(source.path.absolute()), source.name, sorted(source.attributes.items()), state)
        digest.update(repr(record).encode())
    return digest.hexdigest()


def remembered(sources: Sequence[Source], memory: Path) -> Content | None:
    """The content of `sources` without reading them, if no file was touched since `identify` did."""
    now = fingerprint(sources)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Content(str(json.loads((memory / now).read_text())["content"]), now)
    return None


def identify(sources: Sequence[Source], memory: Path) -> Content:
    """Reads every file; remembers the digest, unless a file could not be read: that may pass.

    Args:
        memory: folder that maps fingerprints to digests, one small file each. Where it cannot be written, files are
            hashed at each start.
    """
    before = fingerprint(sources)
    digest, files = hashlib.blake2b(digest_size=16), []
    for source in sources:
        files.append(_hash(source.path))
        digest.update(json.dumps([source.name, dict(source.attributes), files[-1]], sort_keys=True).encode())
    content = Content(digest.hexdigest(), before, files)
    if UNREADABLE not in files:
        with contextlib.suppress(OSError, BenchError):
            memory.mkdir(parents=True, exist_ok=True)
            write_whole(memory / before, json.dumps({"content": content.digest, "files": len(sources)}))
    return content


def _hash(path: Path) -> tuple[int, str]:
    """Size and digest of a file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            return file.tell(), digest
    except OSError:
        return UNREADABLE  # the reader says why, when the cache is built
