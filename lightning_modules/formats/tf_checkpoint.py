"""TensorFlow's checkpoints, version 2 (since TensorFlow 0.12): variables by name, without TensorFlow.

`model.ckpt-100.index` tells of each variable where it lies in `model.ckpt-100.data-00000-of-00001` beside it. Files of
version 1 have neither ending.
"""

import math
import re
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from datamodules.crc32c import crc32c
from datamodules.errors import BenchError
from datamodules.protobuf import fields
from datamodules.restricted_pickle import Refused, told
from datamodules.tfrecord import masked
from lightning_modules.formats.sstable import entries

NAME = "TensorFlow checkpoint"
SUFFIX = ".index"
PARTS = re.compile(r".+\.data-\d{5}-of-\d{5}|.+\.meta|checkpoint")  # what else of a checkpoint lies in its folder
LARGEST = 64 * 10**6  # bytes of an index; 351 variables take 12 kB
MAX_DIMS = 16
HEADER = b""  # key of what the index says of itself
# TensorFlow's numbers of types of numbers; others, such as strings, are refused.
DTYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    5: torch.int16,
    6: torch.int8,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    19: torch.float16,
}
# Fields of an entry of the index.
DTYPE, SHAPE, SHARD, OFFSET, SIZE, CHECKSUM, SLICES = range(1, 8)


class Entry(NamedTuple):
    """Where a variable lies."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


def matches(head: bytes, path: Path) -> bool:
    """Whether a file's name is that of an index, or of another part; what begins one is not its own."""
    return path.suffix == SUFFIX or PARTS.fullmatch(path.name) is not None


def read(path: Path, classes: Collection[str]) -> dict[str, torch.Tensor]:
    """The variables by name.

    Raises:
        BenchError: damaged, cut, a data file is missing, or a variable of anything but numbers; names it.
    """
    if path.suffix != SUFFIX:
        raise BenchError(f"{path} is another part of a TensorFlow checkpoint; name its {SUFFIX} file")
    with told(path, NAME, "variables of numbers"):
        if path.stat().st_size > LARGEST:
            raise Refused(f"its index of {path.stat().st_size} bytes is larger than {LARGEST}")
        table = entries(path.read_bytes())
        name, header = next(table, (None, b""))
        if name != HEADER:
            raise Refused("its first entry does not say how many data files there are")
        shards = _shards(path, header)
        return {name: _tensor(name, entry, shards) for name, entry in _variables(table)}


def _shards(path: Path, header: bytes) -> list[Path]:
    """The data files, of which the header knows the number."""
    told_of = {number: value for number, _, value in fields(memoryview(header))}
    count = told_of.get(1, 0)
    if told_of.get(2, 0):
        raise Refused("it was written on a big-endian machine")
    if not isinstance(count, int) or not 1 <= count <= 10**4:
        raise Refused(f"it claims {count} data files")
    prefix = path.with_suffix("")
    shards = [prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{count:05d}") for i in range(count)]
    for shard in shards:
        if not shard.is_file():
            raise BenchError(f"{path}: its data file {shard.name} is missing: put it beside the index")
    return shards


def _variables(table: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[str, Entry]]:
    for key, value in table:
        name = key.decode("utf-8", "backslashreplace")
        yield name, _entry(name, value)


def _entry(name: str, value: bytes) -> Entry:
    found: dict[int, int | memoryview] = {}
    for number, _, body in fields(memoryview(value)):
        found[number] = body
    kind = found.get(DTYPE, 0)
    if not isinstance(kind, int) or kind not in DTYPES:
        raise Refused(f"its variable {name} is of TensorFlow's type {kind}")
    if SLICES in found:
        raise Refused(f"its variable {name} lies in slices")
    shape = tuple(_dims(found.get(SHAPE, memoryview(b""))))
    if len(shape) > MAX_DIMS or any(side < 0 for side in shape):
        raise Refused(f"its variable {name} has shape {shape}")
    shard, offset, size = (_whole(name, found.get(key, 0)) for key in (SHARD, OFFSET, SIZE))
    checksum = found.get(CHECKSUM, b"")
    if not isinstance(checksum, memoryview) or len(checksum) != 4:
        raise Refused(f"its variable {name} has no checksum")
    return Entry(DTYPES[kind], shape, shard, offset, size, struct.unpack("<I", checksum)[0])


def _whole(name: str, value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise Refused(f"its variable {name} has a field of another type")
    return value


def _dims(shape: int | memoryview) -> Iterator[int]:
    if not isinstance(shape, memoryview):
        raise Refused("it has a shape of another type")
    for number, _, dim in fields(shape):
        if number == 2 and isinstance(dim, memoryview):
            sides = [value for key, _, value in fields(dim) if key == 1 and isinstance(value, int)]
            side = sides[-1] if sides else 0  # protobuf leaves out a 0
            yield side - (1 << 64) if side >> 63 else side


def _tensor(name: str, entry: Entry, shards: list[Path]) -> torch.Tensor:
    """The variable, if it lies in its file and has its checksum."""
    wanted = math.prod(entry.shape) * entry.dtype.itemsize
    if entry.size != wanted:
        raise Refused(f"its variable {name} has {entry.size} bytes, expected {wanted} for shape {entry.shape}")
    if entry.shard >= len(shards):
        raise Refused(f"its variable {name} lies in data file {entry.shard} of {len(shards)}")
    shard = shards[entry.shard]
    held = shard.stat().st_size
    if entry.offset + entry.size > held:
        raise Refused(f"its variable {name} ends at byte {entry.offset + entry.size}, but {shard.name} at {held}")
    with shard.open("rb") as file:
        file.seek(entry.offset)
        data = bytearray(file.read(entry.size))
    if entry.checksum != masked(crc32c(memoryview(data))):
        raise Refused(f"its variable {name} does not have the checksum of the index: {shard.name} is damaged")
    if not data:
        return torch.empty(entry.shape, dtype=entry.dtype)
    return torch.frombuffer(data, dtype=entry.dtype).reshape(entry.shape)
