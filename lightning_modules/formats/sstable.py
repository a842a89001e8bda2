"""LevelDB's tables of sorted strings, in which TensorFlow keeps the index of a checkpoint: checked bytes, in order."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from datamodules.crc32c import crc32c
from datamodules.protobuf import varint
from datamodules.restricted_pickle import Refused
from datamodules.tfrecord import masked

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48  # two places of blocks, padded, and the magic number
TRAILER = 5  # behind a block: how it is packed, and its checksum
LONGEST = 4096  # bytes of a key; names of variables have a hundred
PACKED = {1: "Snappy"}


class Place(NamedTuple):
    """Where a block lies, in bytes from the file's start."""

    offset: int
    size: int


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table, in the order of the keys.

    Args:
        data: the whole file.

    Raises:
        Refused: cut, damaged, packed, or not in order.
        ValueError, IndexError: a number that does not end.
    """
    if len(data) < FOOTER or data[-len(MAGIC) :] != MAGIC:
        raise Refused(f"its {len(data)} bytes do not end as a table does: cut short, or no index of a checkpoint")
    footer = memoryview(data)[-FOOTER:]
    _, at = _place(footer, 0)  # of blocks that describe the table
    index, _ = _place(footer, at)
    last: bytes | None = None
    for _, value in _block(data, index):
        place, _ = _place(memoryview(value), 0)
        for key, found in _block(data, place):
            if last is not None and key <= last:
                raise Refused(f"its key {key!r} stands behind {last!r}")
            last = key
            yield key, found


def _place(data: memoryview, at: int) -> tuple[Place, int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return Place(offset, size), at


def _block(data: bytes, place: Place) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a block: each key says how much of the key before it begins with."""
    end = place.offset + place.size
    if end + TRAILER > len(data) - FOOTER:
        raise Refused(f"it has a block at bytes {place.offset} to {end}, but ends at {len(data)}")
    kind, checksum = struct.unpack_from("<BI", data, end)
    if checksum != masked(crc32c(data[place.offset : end + 1])):
        raise Refused(f"the block at byte {place.offset} does not have the checksum that follows it")
    if kind:
        raise Refused(f"the block at byte {place.offset} is packed by {PACKED.get(kind, f'method {kind}')}")
    block = memoryview(data)[place.offset : end]
    restarts = struct.unpack_from("<I", block, len(block) - 4)[0] if len(block) >= 4 else -1
    stop = len(block) - 4 - 4 * restarts
    if restarts < 0 or stop < 0:
        raise Refused(f"the block at byte {place.offset} of {len(block)} bytes has {restarts} restarts")
    at, key = 0, b""
    while at < stop:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or shared + fresh > LONGEST or at + fresh + length > stop:
            raise Refused(f"the block at byte {place.offset} has an entry at {at} that does not fit")
        key = key[:shared] + bytes(block[at : at + fresh])
        at += fresh
        yield key, bytes(block[at : at + length])
        at += length
