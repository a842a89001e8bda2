"""Rows of numbers on disk, kept as soon as a video is done: what was read once is not read again."""

import contextlib
import errno
import hashlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.files import cannot_write, write_whole

SUFFIX = ".rows"


class _Entry(NamedTuple):
    facts: Mapping[str, Any]
    shape: tuple[int, ...]
    file: Path
    offset: int


class Shelf:
    """Rows by key, all made in one way.

    A shelf is a folder of append-only files, one a process that wrote. An entry is a line (its CRC-32; then as JSON
    key, facts, shape and the rows' CRC-32) and the rows as little-endian float32. What a killed process left
    half-written fails its checksum: it and what follows it in its file count as absent.

    Args:
        root: the folder of shelves.
        made: how the rows were made, JSON-able; shelves that differ in it never share an entry.

    Raises:
        BenchError: the disk refuses.
    """

    def __init__(self, root: Path, made: Mapping[str, Any]) -> None:
        text = json.dumps(made, sort_keys=True)
        self.folder = root / hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        self._entries: dict[str, _Entry] = {}
        self._out: BinaryIO | None = None
        self._end = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if not (self.folder / "made.json").exists():
            write_whole(self.folder / "made.json", json.dumps(made, sort_keys=True, indent=1) + "\n")
        for file in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._index(file)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def facts(self, key: str) -> Mapping[str, Any] | None:
        """What is known of the entry beside its rows; None where there is none."""
        entry = self._entries.get(key)
        return entry and entry.facts

    def rows(self, key: str) -> Tensor:
        """float32, of the shape that was added."""
        entry = self._entries[key]
        with entry.file.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(4 * int(np.prod(entry.shape)))
        return torch.from_numpy(np.frombuffer(data, "<f4").astype(np.float32).reshape(entry.shape))

    def add(self, key: str, facts: Mapping[str, Any], rows: Tensor | None = None) -> None:
        """Keeps an entry; it outlives this process from here on.

        Raises:
            BenchError: the disk refuses.
        """
        shape = (0,) if rows is None else tuple(rows.shape)
        data = b"" if rows is None else rows.detach().cpu().float().numpy().astype("<f4").tobytes()
        head = json.dumps({"key": key, "facts": facts, "shape": shape, "crc": zlib.crc32(data)}).encode()
        line = b"%08x %s\n" % (zlib.crc32(head), head)
        try:
            if self._out is None:
                self._file = self.folder / f"{time.time_ns():020d}-{os.getpid()}-{uuid.uuid4().hex[:6]}{SUFFIX}"
                self._out, self._end = self._file.open("xb", buffering=0), 0
            if self._out.write(line + data) < len(line) + len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        self._entries[key] = _Entry(facts, shape, self._file, self._end + len(line))
        self._end += len(line) + len(data)

    def close(self) -> None:
        """Gives the file back."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _index(self, path: Path) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError), path.open("rb") as file:
            while line := file.readline():
                checksum, _, text = line.removesuffix(b"\n").partition(b" ")
                if int(checksum, 16) != zlib.crc32(text):
                    return
                head = json.loads(text)
                shape, offset = tuple(head["shape"]), file.tell()
                if zlib.crc32(file.read(4 * int(np.prod(shape)))) != head["crc"]:
                    return
                self._entries[head["key"]] = _Entry(head["facts"], shape, path, offset)


def shelves(folder: Path | None) -> Path:
    """Where shelves lie: `folder`, or `score` in `REELBENCH_CACHE`.

    Raises:
        BenchError: it is a file.
    """
    root = folder or Path(os.environ.get("REELBENCH_CACHE") or "~/.cache/reelbench").expanduser() / "score"
    if root.is_file():
        raise BenchError(f"--cache {root} is a file; expected a folder")
    return root
