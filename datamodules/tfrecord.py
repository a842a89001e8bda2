"""TFRecord files and the examples in them, without TensorFlow: framing and checksums."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.crc32c import crc32c
from datamodules.protobuf import BYTES, fields, messages, varint

HEADER, FOOTER = 12, 4  # length and its checksum; the data's checksum
MASK = 0xA282EAD8

Feature = list[bytes] | np.ndarray  # bytes, float32 or int64, as the feature has it

KINDS = {1: "bytes_list", 2: "float_list", 3: "int64_list"}


class Record(NamedTuple):
    """One record.

    Attributes:
        number: its place in the file, from 0.
        offset: the byte where it begins.
        data: what it holds.
    """

    number: int
    offset: int
    data: bytes

    def features(self) -> dict[str, Feature]:
        """The features of the record, a serialised `Example`, or the context of a `SequenceExample`.

        Raises:
            BadFile: it is neither.
        """
        try:
            return parse_features(self.data)
        except (ValueError, IndexError, struct.error) as error:
            raise self.bad(f"holds no readable Example: {error}") from error

    def bad(self, reason: str) -> BadFile:
        """An error that says where the record is."""
        return _bad(self.number, self.offset, reason)


def read_records(path: Path) -> Iterator[Record]:
    """Every record of a file, its checksums verified.

    Raises:
        BadFile: cut, damaged, or no TFRecord file; names record and byte, not the file.
    """
    with path.open("rb") as file:
        for number, offset, length in _frames(file):
            data = file.read(length)
            (checksum,) = struct.unpack("<I", file.read(FOOTER))
            if checksum != masked(crc32c(data)):
                raise _bad(number, offset, f"its {length} bytes do not have the checksum that follows them: damaged")
            yield Record(number, offset, data)


def count_records(path: Path) -> int:
    """Records of a file, from their headers alone. Raises `BadFile` as `read_records` does."""
    with path.open("rb") as file:
        return sum(1 for _ in _frames(file))


def _frames(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Number, offset and length of each record; the file stands at its data."""
    size, offset, number = os.fstat(file.fileno()).st_size, 0, 0
    while offset < size:
        file.seek(offset)
        head = file.read(HEADER)
        if len(head) < HEADER:
            raise _bad(number, offset, f"cut short within its header: {len(head)} of {HEADER} bytes")
        length, checksum = struct.unpack("<QI", head)
        if checksum != masked(crc32c(head[:8])):
            what = "no TFRecord file, or a compressed one" if number == 0 else "damaged"
            raise _bad(number, offset, f"its length {length} does not have the checksum that follows it: {what}")
        end = offset + HEADER + length + FOOTER
        if end > size:
            raise _bad(number, offset, f"cut short: it ends at byte {end}, but the file at byte {size}")
        yield number, offset, length
        offset, number = end, number + 1


def _bad(number: int, offset: int, reason: str) -> BadFile:
    return BadFile(f"record {number} at byte {offset}: {reason}")


def masked(checksum: int) -> int:
    """A checksum as the format stores it."""
    return ((checksum >> 15 | checksum << 17) + MASK) & 0xFFFFFFFF


def parse_features(example: bytes) -> dict[str, Feature]:
    """The features of a serialised `Example`; a `SequenceExample` has its context in the same place.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no such message.
    """
    found: dict[str, Feature] = {}
    for features in messages(memoryview(example), 1):
        for entry in messages(features, 1):
            keys, values = list(messages(entry, 1)), list(messages(entry, 2))
            found[bytes(keys[-1]).decode() if keys else ""] = _feature(values[-1]) if values else []
    return found


def _feature(message: memoryview) -> Feature:
    feature: Feature = []
    for kind, wire, body in fields(message):
        if kind not in KINDS or not isinstance(body, memoryview) or wire != BYTES:
            continue
        if kind == 1:
            feature = [bytes(value) for value in messages(body, 1)]
        elif kind == 2:
            packed = (v for n, _, v in fields(body) if n == 1 and isinstance(v, memoryview))
            feature = np.concatenate([np.empty(0, "<f4"), *(np.frombuffer(v, "<f4") for v in packed)])
        else:
            feature = np.array(list(_integers(body)), dtype=np.uint64).astype(np.int64)
    return feature


def _integers(message: memoryview) -> Iterator[int]:
    """Field 1 as 64-bit integers, packed or one by one."""
    for number, _, value in fields(message):
        if number == 1 and isinstance(value, int):
            yield value
        elif number == 1 and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                integer, at = varint(value, at)
                yield integer
