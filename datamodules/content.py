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
        hashes: of each file's bytes, in order; empty where `digest` was remembered and no file was read.
    """

    digest: str
    hashes: Sequence[str] = ()


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
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Content(str(json.loads((memory / fingerprint(sources)).read_text())["content"]))
    return None


def identify(sources: Sequence[Source], memory: Path) -> Content:
    """Reads every file; remembers the digest, unless a file could not be read: that may pass.

    Args:
        memory: folder that maps fingerprints to digests, one small file each. Where it cannot be written, files are
            hashed at each start.
    """
    known = memory / fingerprint(sources)
    digest, hashes = hashlib.blake2b(digest_size=16), []
    for source in sources:
        hashes.append(_hash(source.path))
        digest.update(json.dumps([source.name, dict(source.attributes), hashes[-1]], sort_keys=True).encode())
    content = Content(digest.hexdigest(), hashes)
    if "unreadable" not in hashes:
        with contextlib.suppress(OSError, BenchError):
            known.parent.mkdir(parents=True, exist_ok=True)
            write_whole(known, json.dumps({"content": content.digest, "files": len(sources)}))
    return content


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return "unreadable"  # the reader says why, when the cache is built
