"""HDF5 files in the layout that h5py writes for Keras, from nested dicts: superblock 0, headers 1, symbol tables."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

UNDEFINED = 2**64 - 1


class Writer:
    """Appends structures and knows where they begin."""

    def __init__(self) -> None:
        self.out = bytearray(96)  # the superblock, filled in at the end

    def put(self, data: bytes) -> int:
        """Appends, on a multiple of 8, and returns the address."""
        self.out += bytes(-len(self.out) % 8)
        at = len(self.out)
        self.out += data
        return at

    def header(self, messages: list[tuple[int, bytes]], split: bool = False) -> int:
        """An object's header; `split` moves all messages but the first into a continuation."""
        packed = [
            struct.pack("<HHBxxx", kind, len(b) + -len(b) % 8, 0) + b + bytes(-len(b) % 8) for kind, b in messages
        ]
        count, body = len(packed), b"".join(packed)
        if split:
            rest = b"".join(packed[1:])
            body = packed[0] + struct.pack("<HHBxxxQQ", 0x10, 16, 0, self.put(rest), len(rest))
            count += 1
        return self.put(struct.pack("<BBHIIxxxx", 1, 0, count, 1, len(body)) + body)

    def array(self, value: np.ndarray) -> int:
        kind = {"f": 1, "i": 0, "u": 0}[value.dtype.kind]
        flags = 8 if value.dtype.kind == "i" else 0x20 if kind else 0
        type_ = struct.pack("<BBBBI", 0x10 | kind, flags, 0, 0, value.dtype.itemsize) + bytes(12)
        layout = struct.pack("<BBQQ", 3, 1, self.put(value.tobytes()), value.nbytes)
        return self.header([(1, space(value.shape)), (3, type_), (5, bytes(8)), (8, layout)])

    def group(self, members: dict[str, Any], split: bool = False) -> int:
        """Dicts are groups, arrays arrays, `@name` lists of strings attributes."""
        messages = [(0xC, strings(name[1:], v)) for name, v in members.items() if name.startswith("@")]
        children = sorted((n, self.value(v)) for n, v in members.items() if not n.startswith("@"))
        names, places = bytearray(8), []
        for name, _ in children:
            places.append(len(names))
            names += name.encode() + bytes(8 - len(name.encode()) % 8)
        heap = self.put(b"HEAP" + struct.pack("<BxxxQQQ", 0, len(names), UNDEFINED, self.put(bytes(names))))
        leaves = []
        for at in range(0, max(len(children), 1), 8):
            part = list(zip(places, children, strict=True))[at : at + 8]
            rows = b"".join(struct.pack("<QQII16x", place, child, 0, 0) for place, (_, child) in part)
            leaves.append(self.put(b"SNOD" + struct.pack("<BxH", 1, len(part)) + rows))
        keys = b"".join(struct.pack("<QQ", 0, leaf) for leaf in leaves) + bytes(8)
        tree = self.put(b"TREE" + struct.pack("<BBHQQ", 0, 0, len(leaves), UNDEFINED, UNDEFINED) + keys)
        return self.header([(0x11, struct.pack("<QQ", tree, heap)), *messages], split)

    def value(self, value: Any) -> int:
        return self.group(value) if isinstance(value, dict) else self.array(np.asarray(value))

    def finish(self, root: int) -> bytes:
        self.out[:96] = (
            b"\x89HDF\r\n\x1a\n"
            + struct.pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
            + struct.pack("<4QQQII16x", 0, UNDEFINED, len(self.out), UNDEFINED, 0, root, 0, 0)
        )
        return bytes(self.out)


def space(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<BBBxxxxx{len(shape)}Q", 1, len(shape), 0, *shape)


def strings(name: str, values: list[str]) -> bytes:
    """An attribute."""
    width = max(len(v) for v in values)
    parts = [name.encode() + b"\0", struct.pack("<BBBBI", 0x13, 0, 0, 0, width), space((len(values),))]
    padded = b"".join(part + bytes(-len(part) % 8) for part in parts)
    text = b"".join(v.encode().ljust(width, b"\0") for v in values)
    return struct.pack("<BxHHH", 1, *(len(part) for part in parts)) + padded + text


def write_h5(path: Path, content: dict[str, Any], split: bool = False) -> Path:
    """Writes the root group."""
    writer = Writer()
    path.write_bytes(writer.finish(writer.group(content, split)))
    return path
