"""What a data set is: its files' bytes, names and attributes, hashed. Cheap to ask again while no file was touched."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from datamodules.errors import BenchError
from datamodules.files import write_whole

UNREADABLE = (-1, "unreadable")


@dataclass(frozen=True)
class Source:
    """One video of a data set.

    Attributes:
        path: its file, or the folder of its frames.
        name: relative to the data set, with `/`; part of its identity.
        attributes: numbers of its video, such as category and subject; all sources of a set have the same keys.
        start, end: which frames of the file are the video, counted as they are stored; None is the file's end.
        more: by role, further files that its frames and tracks are made of.
    """

    path: Path
    name: str
    attributes: Mapping[str, int]
    start: int = 0
    end: int | None = None
    more: tuple[tuple[str, Path], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the video is all of its file."""
        return self.start == 0 and self.end is None


@dataclass(frozen=True)
class Content:
    """The identity of a set of files.

    Attributes:
        digest: of every file's bytes, name and attributes.
        fingerprint: of the files before they were read; see `fingerprint`.
        files: size in bytes and digest of each source's file, in order; empty where `digest` was remembered.
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
        place: tuple[Any, ...] = (os.fspath(source.path.absolute()), source.name, sorted(source.attributes.items()))
        if not source.whole:
            place += (source.start, source.end)
        place += tuple((role, os.fspath(path.absolute()), _state(path)) for role, path in source.more)
        digest.update(repr((*place, _state(source.path))).encode())
    return digest.hexdigest()


def _state(path: Path) -> Any:
    """What changes when a file or the files of a folder may have changed."""
    try:
        stat = path.stat()
        own = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return (own, [(p.name, _state(p)) for p in _files(path)]) if S_ISDIR(stat.st_mode) else own
    except OSError as error:
        return str(error.strerror)


def _files(folder: Path) -> list[Path]:
    """The files of a folder of frames, sorted; what lies deeper does not belong to the video."""
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not e.name.startswith(".") and not e.is_dir())


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
    digest = hashlib.blake2b(digest_size=16)
    files: list[tuple[int, str]] = []
    hashed: dict[Path, tuple[int, str]] = {}  # a file of which several parts are videos is read once
    for source in sources:
        if source.path not in hashed:
            hashed[source.path] = _hash(source.path)
        files.append(_joined(hashed[source.path], source))
        described: list[Any] = [source.name, dict(source.attributes), files[-1]]
        if not source.whole:
            described += [source.start, source.end]
        digest.update(json.dumps(described, sort_keys=True).encode())
    content = Content(digest.hexdigest(), before, files)
    if UNREADABLE not in files:
        with contextlib.suppress(OSError, BenchError):
            memory.mkdir(parents=True, exist_ok=True)
            write_whole(memory / before, json.dumps({"content": content.digest, "files": len(sources)}))
    return content


def file_digest(path: Path) -> str | None:
    """Digest of a file's bytes, or of a folder's files and their names, as caches are keyed; None if unreadable."""
    size_and_digest = _hash(path)
    return None if size_and_digest == UNREADABLE else size_and_digest[1]


def _hash(path: Path) -> tuple[int, str]:
    """Size and digest of a file, or of all files of a folder with their names."""
    try:
        if path.is_dir():
            return _hash_folder(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            return file.tell(), digest
    except OSError:
        return UNREADABLE  # the reader says why, when the cache is built


def _joined(own: tuple[int, str], source: Source) -> tuple[int, str]:
    """Size and digest of a source's file `own` with those that belong to it."""
    if not source.more:
        return own
    parts = [(role, *_hash(path)) for role, path in source.more]
    return _together([("", *own), *parts])


def _hash_folder(folder: Path) -> tuple[int, str]:
    return _together([(path.name, *_hash(path)) for path in _files(folder)])


def _together(parts: Sequence[tuple[str, int, str]]) -> tuple[int, str]:
    """Of files that make one source; `parts` are name, size and digest."""
    if any(part[1:] == UNREADABLE for part in parts):
        return UNREADABLE
    digest = hashlib.blake2b(json.dumps(list(parts)).encode(), digest_size=16).hexdigest()
    return sum(size for _, size, _ in parts), digest
