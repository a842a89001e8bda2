"""TFRecord files, written from the formats' descriptions alone: nothing here is shared with the reader."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Values = Sequence[bytes] | np.ndarray


def slow_crc32c(data: bytes) -> int:
    """Bit by bit."""
    state = 0xFFFFFFFF
    for octet in data:
        state ^= octet
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def table_crc32c(data: bytes) -> int:
    """Byte by byte; equal to `slow_crc32c`, for files of many kilobytes."""
    state = 0xFFFFFFFF
    for octet in data:
        state = TABLE[(state ^ octet) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = (octet >> 1) ^ (0x82F63B78 if octet & 1 else 0)
    return octet


TABLE = [_entry(octet) for octet in range(256)]


def frame(data: bytes) -> bytes:
    """A record as it lies in the file."""

    def stored(part: bytes) -> bytes:
        crc = table_crc32c(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) % 2**32)

    length = struct.pack("<Q", len(data))
    return length + stored(length) + data + stored(data)


def varint(value: int) -> bytes:
    value %= 2**64  # negative numbers take ten bytes
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def feature(values: Values, packed: bool = True) -> bytes:
    if not isinstance(values, np.ndarray):
        return field(1, b"".join(field(1, value) for value in values))
    if values.dtype == np.float32:
        floats = [struct.pack("<f", value) for value in values.tolist()]
        body = field(1, b"".join(floats)) if packed else b"".join(varint(1 << 3 | 5) + f for f in floats)
        return field(2, body)
    integers = [varint(value) for value in values.tolist()]
    return field(3, field(1, b"".join(integers)) if packed else b"".join(varint(1 << 3) + i for i in integers))


def example(features: Mapping[str, Values], packed: bool = True) -> bytes:
    entries = (field(1, field(1, k.encode()) + field(2, feature(v, packed))) for k, v in features.items())
    return field(1, b"".join(entries))


def write(path: Path, records: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(record) for record in records))
