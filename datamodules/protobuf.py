"""As much of protobuf's wire format as TensorFlow's files need."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


def messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The bodies of the fields `wanted` that have a length."""
    for number, wire, body in fields(message):
        if number == wanted and wire == BYTES and isinstance(body, memoryview):
            yield body


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of each field: an integer, or the bytes of it."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = varint(message, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            length, at = varint(message, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"a field of wire type {wire}")
        if at + length > len(message):
            raise ValueError(f"a field of {length} bytes where {len(message) - at} are left")
        yield number, wire, message[at : at + length]
        at += length


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of up to 10 bytes, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        octet = message[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("an integer of more than 10 bytes")
