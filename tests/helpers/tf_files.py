"""TensorFlow's checkpoints of version 2 as their format describes them, written by hand: good ones, and damaged."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.crc32c import crc32c
from datamodules.tfrecord import masked

TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10, "float16": 19}
MAGIC = bytes.fromhex("57fb808b247547db")


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""  # protobuf leaves out a 0


def message(field: int, body: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(body)) + body


def checksum(field: int, value: int) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<I", value)


def block(items: list[tuple[bytes, bytes]]) -> bytes:
    """Keys share what they begin with, as in real files."""
    out, last = b"", b""
    for key, value in items:
        shared = next((i for i, (a, b) in enumerate(zip(last, key, strict=False)) if a != b), min(len(last), len(key)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1)


def table(blocks: list[list[tuple[bytes, bytes]]], kind: int = 0) -> bytes:
    """A table of these blocks, packed (as it says) by method `kind`."""
    out = b""

    def add(body: bytes) -> bytes:
        nonlocal out
        place = varint(len(out)) + varint(len(body))
        out += body + bytes([kind]) + struct.pack("<I", masked(crc32c(body + bytes([kind]))))
        return place

    places = [(items[-1][0] + b"\xff", add(block(items))) for items in blocks]
    footer = add(block([])) + add(block(places))
    return out + footer.ljust(40, b"\0") + MAGIC


def entry(array: np.ndarray, shard: int, offset: int, other: Mapping[str, Any]) -> bytes:
    """What the index says of a variable; `other` replaces single fields."""
    raw = array.tobytes()
    said: dict[str, Any] = {
        "dtype": TYPES[array.dtype.name],
        "shape": array.shape,
        "shard": shard,
        "offset": offset,
        "size": len(raw),
    }
    said |= {"crc": masked(crc32c(raw)), "extra": b"", **other}
    shape = b"".join(message(2, number(1, side)) for side in said["shape"])
    body = number(1, said["dtype"]) + message(2, shape) + number(3, said["shard"]) + number(4, said["offset"])
    return body + number(5, said["size"]) + checksum(6, said["crc"]) + said["extra"]


def write_checkpoint(
    prefix: Path, variables: Mapping[str, Any], shards: int = 1, said: Mapping[str, Any] | None = None, **of: Any
) -> Path:
    """Writes index and data files; returns the index.

    Args:
        said: replaces fields of the entry of the last variable.
        of: `endianness`, or `kind` of packing.
    """
    names = sorted(variables, key=str.encode)
    data = [b""] * shards
    items = []
    for i, name in enumerate(names):
        array = np.asarray(variables[name])
        other = said or {} if name == names[-1] else {}
        items.append((name.encode(), entry(array, i % shards, len(data[i % shards]), other)))
        data[i % shards] += array.tobytes()
    header = number(1, shards) + number(2, of.get("endianness", 0)) + message(3, number(1, 1))
    half = (len(items) + 1) // 2
    blocks = [part for part in ([(b"", header), *items[:half]], items[half:]) if part]
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table(blocks, of.get("kind", 0)))
    for i, body in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{shards:05d}").write_bytes(body)
    return index
