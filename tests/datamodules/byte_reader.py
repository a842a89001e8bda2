"""A data set whose frames anyone can foresee: byte b of a file is a frame of b everywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bad_files import BadFile, DroppedFile
from datamodules.content import Source


class ByteReader:
    """Files that start with `!` fail when counted, with `?` when read; empty ones are dropped."""

    shape = (2, 4, 3)

    def __init__(self, **policy: object) -> None:
        self.policy: Mapping[str, Any] = policy
        self.reads: list[str] = []

    def count(self, path: Path) -> int:
        data = path.read_bytes()
        if not data:
            raise DroppedFile("no frames")
        if data.startswith(b"!"):
            raise BadFile("starts with !")
        return len(data)

    def read(self, path: Path) -> np.ndarray:
        data = path.read_bytes()
        self.reads.append(path.name)
        if data.startswith(b"?"):
            raise BadFile("starts with ?")
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones(self.shape, dtype=np.uint8)


def byte_files(folder: Path, **contents: bytes) -> list[Source]:
    """Files `name` with `contents`; their categories alternate."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [Source(folder / name, name, {"category": i % 2}) for i, name in enumerate(contents)]
