"""Writes Torch7's binary files, so that the reader is tried on what no other program needs to be there for."""

import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CODES = {torch.float32: "Float", torch.float64: "Double", torch.int64: "Long", torch.uint8: "Byte"}


class Lua:
    """An object of a Lua class."""

    def __init__(self, class_name: str, **fields: Any) -> None:
        self.class_name, self.fields = class_name, fields


class Writer:
    """Writes values one after another; objects that are met again become references."""

    def __init__(self, cuda: bool = False) -> None:
        self.cuda = cuda
        self.out = bytearray()
        self.numbers: dict[Any, int] = {}
        self.kept: list[Any] = []  # an id is only good while its object lives

    def int32(self, *values: int) -> None:
        self.out += struct.pack(f"<{len(values)}i", *values)

    def int64(self, *values: int) -> None:
        self.out += struct.pack(f"<{len(values)}q", *values)

    def string(self, text: str) -> None:
        self.int32(len(text.encode()))
        self.out += text.encode()

    def value(self, value: Any) -> None:
        if value is None:
            self.int32(0)
        elif isinstance(value, bool):
            self.int32(5, int(value))
        elif isinstance(value, int | float):
            self.int32(1)
            self.out += struct.pack("<d", value)
        elif isinstance(value, str):
            self.int32(2)
            self.string(value)
        elif isinstance(value, dict | list):
            self._table(value)
        elif isinstance(value, Tensor):
            self._tensor(value)
        else:
            if self._head(4, id(value), value):
                self._names(value.class_name)
                self.value(value.fields)

    def _head(self, kind: int, key: Any, value: Any) -> bool:
        """Whether the object is new and its body is to follow."""
        new = key not in self.numbers
        self.numbers.setdefault(key, len(self.numbers) + 1)
        self.kept.append(value)
        self.int32(kind, self.numbers[key])
        return new

    def _names(self, class_name: str) -> None:
        self.string("V 1")
        self.string(class_name)

    def _table(self, value: dict[Any, Any] | list[Any]) -> None:
        if not self._head(3, id(value), value):
            return
        items = value if isinstance(value, dict) else dict(enumerate(value, 1))
        self.int32(len(items))
        for key, item in items.items():
            self.value(key)
            self.value(item)

    def _tensor(self, tensor: Tensor) -> None:
        if not self._head(4, id(tensor), tensor):
            return
        name = "Cuda" if self.cuda and tensor.dtype == torch.float32 else CODES[tensor.dtype]
        self._names(f"torch.{name}Tensor")
        self.int32(tensor.ndim)
        self.int64(*tensor.shape, *tensor.stride(), int(tensor.storage_offset()) + 1)
        storage = tensor.untyped_storage()
        if self._head(4, ("storage", storage.data_ptr()), storage):
            self._names(f"torch.{name}Storage")
            whole = torch.empty(0, dtype=tensor.dtype).set_(storage)
            self.int64(len(whole))
            self.out += whole.numpy().tobytes()


def write_t7(path: Path, value: Any, cuda: bool = False) -> Path:
    """A .t7 file of one value: dicts, lists (tables from 1), scalars, tensors, `Lua` objects."""
    writer = Writer(cuda)
    writer.value(value)
    path.write_bytes(bytes(writer.out))
    return path
