"""Torch7's binary .t7 (`torch.save` of Lua): tables, numbers, tensors and objects, never functions.

The layout is that of a 64-bit machine: types and lengths are 4 bytes, sizes of tensors 8, all little-endian.
"""

import math
import re
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.restricted_pickle import DEPTH, Refused, told
from lightning_modules.formats.content import Instance, strided

NAME = "Torch7"
NIL, NUMBER, STRING, TABLE, OBJECT, BOOLEAN = range(6)
FUNCTIONS = (6, 7, 8)
MAX_DIMS = 16
DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    # On a GPU `torch.CudaTensor` holds floats.
    "Cuda": torch.float32,
    "CudaDouble": torch.float64,
    "CudaHalf": torch.float16,
    "CudaLong": torch.int64,
    "CudaInt": torch.int32,
    "CudaShort": torch.int16,
    "CudaChar": torch.int8,
    "CudaByte": torch.uint8,
}
ARRAY = re.compile(r"torch\.(\w*?)(Tensor|Storage)")


def matches(head: bytes, path: Path) -> bool:
    """Whether a file begins with a table or an object of number 1; the ASCII form is other bytes."""
    return path.suffix == ".t7" or head[:8] in (struct.pack("<ii", kind, 1) for kind in (TABLE, OBJECT))


def read(path: Path, classes: Collection[str]) -> Any:
    """The one object of a file. Tables become dicts, whole numbers ints, objects `Instance`s.

    Args:
        classes: objects that may be in it, such as `nn.Sequential`.

    Raises:
        BenchError: damaged, cut, a function, or an object of another class; names the byte.
    """
    with told(
        path, "file of Torch7", "tables, numbers, tensors and the objects that the official code is known to save"
    ):
        reader = _Reader(path.read_bytes(), classes)
        try:
            content = reader.value()
            if reader.at != len(reader.data):
                reader.fail(f"{len(reader.data) - reader.at} bytes follow the object")
        except Refused as error:
            raise BenchError(f"{path}: byte {reader.start}: {error}") from None
        return content


class _Reader:
    """Reads forward through the bytes of a file.

    Attributes:
        at: the next byte; start: where the value being read begins.
    """

    def __init__(self, data: bytes, classes: Collection[str]) -> None:
        self.data, self.classes = data, frozenset(classes)
        self.at = self.start = self.depth = 0
        self.seen: dict[int, tuple[str, Any]] = {}  # kind and value of each numbered object

    def fail(self, reason: str) -> NoReturn:
        raise Refused(reason)

    def take(self, count: int, what: str) -> bytes:
        """The next bytes."""
        self.start = self.at
        if count < 0 or count > len(self.data) - self.at:
            self.fail(f"{what} of {count} bytes, but {len(self.data) - self.at} are left: cut short or damaged")
        self.at += count
        return self.data[self.start : self.at]

    def int32(self, what: str) -> int:
        return int(struct.unpack("<i", self.take(4, what))[0])

    def int64s(self, count: int, what: str) -> tuple[int, ...]:
        return struct.unpack(f"<{count}q", self.take(8 * count, what))

    def string(self, what: str) -> str:
        raw = self.take(self.int32(f"the length of {what}"), what)
        return raw.decode("utf-8", "backslashreplace")

    def value(self) -> Any:
        """Any value, with its type in front."""
        begin = self.at
        kind = self.int32("a type")
        if kind == NIL:
            return None
        if kind == NUMBER:
            number = struct.unpack("<d", self.take(8, "a number"))[0]
            return int(number) if math.isfinite(number) and number.is_integer() else number
        if kind == STRING:
            return self.string("a string")
        if kind == BOOLEAN:
            return self._boolean()
        if kind not in (TABLE, OBJECT):
            self.start = begin
            self.fail(
                "a function, which is a program: refused"
                if kind in FUNCTIONS
                else f"unknown type {kind}: damaged, or not Torch7's 64-bit binary form"
            )
        if self.depth == DEPTH:
            self.fail(f"objects are nested more than {DEPTH} deep")
        self.depth += 1
        found = self._numbered(kind)
        self.depth -= 1
        return found

    def _boolean(self) -> bool:
        value = self.int32("a boolean")
        if value not in (0, 1):
            self.fail(f"a boolean of {value}: damaged")
        return bool(value)

    def _numbered(self, kind: int) -> Any:
        """A table or an object, or one that was met before."""
        number = self.int32("an object's number")
        if number in self.seen:
            was, found = self.seen[number]
            if (was == "table") != (kind == TABLE):
                self.fail(f"object {number} is a {was}, and then not: damaged")
            return found
        if kind == TABLE:
            return self._table(number)
        version = self.string("a version")
        name = self.string("a class name") if re.fullmatch(r"V \d+", version) else version
        array = ARRAY.fullmatch(name)
        if array and array[1] in DTYPES:
            read = self._tensor if array[2] == "Tensor" else self._storage
            value = read(DTYPES[array[1]], name)
            self.seen[number] = name, value
            return value
        if name not in self.classes:
            self.fail(f"an object of class {name[:80]!r}, which is not read: refused")
        made = Instance(name)
        self.seen[number] = name, made
        fields = self.value()
        if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
            self.fail(f"{name} holds {type(fields).__name__}, expected a table of named fields")
        made.fields = fields
        return made

    def _table(self, number: int) -> dict[Any, Any]:
        count = self.int32("a table's length")
        if count < 0 or count > (len(self.data) - self.at) // 8:  # a key and a value are 4 bytes each at least
            self.fail(
                f"a table of {count} entries, but {len(self.data) - self.at} bytes are left: cut short or damaged"
            )
        table: dict[Any, Any] = {}
        self.seen[number] = "table", table
        for _ in range(count):
            key = self.value()
            if not isinstance(key, str | int | float) or key in table:
                self.fail(f"a table's key {key!r} is there twice, or no string or number: damaged")
            table[key] = self.value()
        return table

    def _storage(self, dtype: torch.dtype, name: str) -> Tensor:
        (count,) = self.int64s(1, "a storage's length")
        raw = self.take(count * dtype.itemsize if count >= 0 else -1, f"{name} of {count} numbers")
        return torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)

    def _tensor(self, dtype: torch.dtype, name: str) -> Tensor:
        begin = self.at
        dims = self.int32("a tensor's count of dimensions")
        if not 0 <= dims <= MAX_DIMS:
            self.fail(f"{name} of {dims} dimensions: damaged")
        size, stride = self.int64s(dims, "a tensor's sizes"), self.int64s(dims, "a tensor's strides")
        (offset,) = self.int64s(1, "a tensor's offset")
        storage = self.value()
        self.start = begin
        if storage is None:
            storage = torch.empty(0, dtype=dtype)
        if not isinstance(storage, Tensor) or storage.dtype != dtype or storage.ndim != 1:
            self.fail(f"{name} lies in {type(storage).__name__}, expected a storage of {dtype}: damaged")
        if not dims:
            return torch.empty(0, dtype=dtype)  # Torch7's empty tensor
        return strided(storage, size, stride, offset - 1)  # Lua counts from 1
