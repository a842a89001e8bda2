"""What `torch.save` writes since release 1.6: a zip archive of one pickle and its storages."""

import io
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from datamodules.errors import BenchError
from datamodules.restricted_pickle import Refused, load, told
from lightning_modules.formats.archive import archive
from lightning_modules.formats.torch_names import READS, Numbers, Read, allowed, storage_id

NAME = "torch zip"


def matches(head: bytes, path: Path) -> bool:
    """Whether a file is a zip archive; `npz` asks first for archives of arrays."""
    return head.startswith(b"PK\x03\x04")


def read(path: Path, classes: Collection[str]) -> Any:
    """Content of a state dict or of whole modules.

    Args:
        classes: names that are allowed beside layers of torch.nn.

    Raises:
        BenchError: damaged, cut, big-endian, a bomb, or a pickle that asks for more than it may.
    """
    with told(path, "file of torch.save", READS), archive(path) as opened:
        names = opened.namelist()
        roots = {name.partition("/")[0] for name in names}
        root = next(iter(roots), "")
        if len(roots) != 1 or f"{root}/data.pkl" not in names:
            raise BenchError(f"{path} is no file of torch.save: it holds no data.pkl in its one folder")
        if any(name.startswith(f"{root}/code/") for name in names):
            raise BenchError(f"{path} is refused: it is a TorchScript program; only {READS} are read")
        if f"{root}/byteorder" in names and opened.read(f"{root}/byteorder") != b"little":
            raise BenchError(f"{path} is not of a little-endian machine: its numbers are not read")
        storages = _Storages(opened, root)
        stream = io.BytesIO(opened.read(f"{root}/data.pkl"))
        return Read()(load(stream, allowed(classes), outside=storages.find, encoding="utf-8"))


class _Storages:
    """Storages are members of the archive."""

    def __init__(self, opened: zipfile.ZipFile, root: str) -> None:
        self.opened, self.root = opened, root
        self.by_key: dict[str, Numbers] = {}

    def find(self, identifier: Any) -> Numbers:
        """The storage of a persistent id."""
        key, dtype, count = storage_id(identifier, 5)
        if key not in self.by_key:
            self.by_key[key] = Numbers(self._read(key, dtype, count))
        numbers = self.by_key[key]
        if numbers.data.dtype != dtype or len(numbers.data) != count:
            raise Refused(f"its storage {key} has two descriptions")
        return numbers

    def _read(self, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        name = f"{self.root}/data/{key}"
        if name not in self.opened.NameToInfo:
            raise Refused(f"its storage {name} is missing")
        size = self.opened.getinfo(name).file_size
        if size != count * dtype.itemsize:
            raise Refused(f"its storage {name} has {size} bytes, expected {count} numbers of {dtype}")
        if not count:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(self.opened.read(name)), dtype=dtype)
