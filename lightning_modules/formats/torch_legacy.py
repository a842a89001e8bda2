"""What `torch.save` wrote before release 1.6: five pickles, then the storages one after another."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import torch

from datamodules.errors import BenchError
from datamodules.restricted_pickle import Refused, load, told
from lightning_modules.formats.torch_names import READS, Numbers, Read, allowed, storage_id

NAME = "torch legacy"
MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # a pickle of the number 0x1950A86A20F9469CFC6C
VERSION = 1001


def matches(head: bytes, path: Path) -> bool:
    """Whether a file begins as this format does."""
    return head.startswith(MAGIC)


def read(path: Path, classes: Collection[str]) -> Any:
    """Content of a state dict or of whole modules.

    Args:
        classes: names that are allowed beside layers of torch.nn.

    Raises:
        BenchError: damaged, cut, big-endian, or a pickle that asks for more than it may.
    """
    with told(path, "file of torch.save", READS), path.open("rb") as file:
        storages = _Storages(os.fstat(file.fileno()).st_size)
        for what, expected in (("magic number", None), ("protocol version", VERSION)):
            found = load(file, {})
            if expected is not None and found != expected:
                raise BenchError(f"{path} has {what} {found!r}, expected {expected}")
        system = load(file, {}, encoding="utf-8")
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise BenchError(f"{path} is not of a little-endian machine ({str(system)[:80]}): its numbers are not read")
        pickled = load(file, allowed(classes), outside=storages.find, encoding="utf-8")
        keys = load(file, {}, encoding="utf-8")
        storages.fill(file, keys, path)
        return Read()(pickled)


class _Storages:
    """Storages are named in the pickle and filled in afterwards.

    Args:
        size: of the file in bytes; what the pickle claims to lie in it cannot be more.
    """

    def __init__(self, size: int) -> None:
        self.left = size
        self.by_key: dict[str, Numbers] = {}

    def find(self, identifier: Any) -> Any:
        """A storage, a view of one, or the class of ('module', class, source file, source text)."""
        if isinstance(identifier, tuple) and len(identifier) == 4 and identifier[0] == "module":
            return identifier[1]
        key, dtype, count = storage_id(identifier, 6)
        if key not in self.by_key:
            self.left -= count * dtype.itemsize
            if self.left < 0:
                raise Refused(f"its storage {key} of {count} numbers is larger than the file: cut short, or damaged")
            self.by_key[key] = Numbers(torch.empty(count, dtype=dtype))
        root = self.by_key[key]
        if root.data.dtype != dtype or len(root.data) != count:
            raise Refused(f"its storage {key} has two descriptions")
        if identifier[5] is None:
            return root
        _, offset, length = identifier[5]
        if not (isinstance(offset, int) and isinstance(length, int) and 0 <= offset <= offset + length <= count):
            raise Refused(f"its view {identifier[5]!r} does not lie in storage {key} of {count} numbers")
        return Numbers(root.data[offset : offset + length])

    def fill(self, file: BinaryIO, keys: Any, path: Path) -> None:
        """Reads the numbers of all storages, in the order of `keys`; each has its count in front."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self.by_key):
            raise BenchError(f"{path} lists other storages than its tensors lie in")
        for key in keys:
            numbers, at = self.by_key[key].data, file.tell()
            count = int.from_bytes(file.read(8), "little", signed=True)
            target: Any = memoryview(bytearray())
            if len(numbers):
                target = numbers.view(torch.uint8).numpy().data
            if count != len(numbers) or file.readinto(target) != len(target):  # type: ignore[attr-defined]
                raise BenchError(
                    f"{path}: storage {key} at byte {at} should hold {len(numbers)} numbers of {numbers.dtype}; "
                    "the file is cut short or damaged"
                )
        if file.read(1):
            raise BenchError(f"{path} goes on behind its last storage, at byte {file.tell() - 1}: damaged")
