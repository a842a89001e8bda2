"""HDF5 as Keras writes weights: superblock 0, groups of names, arrays of numbers in one piece, attributes of strings.

What the format has beside (chunks, compression, links elsewhere, newer headers) is refused by name. Layout: the HDF5
file format specification, version 1 of each structure. A group becomes a dict; attributes that are lists of strings
stand in it under `@` and their name, other attributes are passed over.
"""

import math
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch

from datamodules.errors import BenchError
from datamodules.restricted_pickle import Refused, told

NAME = "HDF5"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEPTH = 16
MOST = 1 << 16  # messages, names in a group, numbers of an attribute's shape: far above what Keras writes
UNDEFINED = 2**64 - 1
DATASPACE, DATATYPE, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = 0x1, 0x3, 0x8, 0xB, 0xC, 0x10, 0x11


class _Type(NamedTuple):
    """Of an array's elements: `f`, `i`, `u` numbers or `S` strings of so many bytes; None: another kind."""

    code: str | None
    size: int


def matches(head: bytes, path: Path) -> bool:
    """Whether a file begins with HDF5's signature."""
    return head.startswith(SIGNATURE)


def read(path: Path, classes: Collection[str]) -> dict[str, Any]:
    """The root group: dicts by group, tensors by array, `@name` lists of strings by attribute.

    Raises:
        BenchError: damaged, cut short, or what Keras does not write; names the byte.
    """
    with told(path, "HDF5 file", "groups, arrays of numbers in one piece and strings, as Keras writes them"):
        reader = _Reader(path.read_bytes())
        try:
            return reader.root()
        except Refused as error:
            raise BenchError(f"{path}: byte {reader.start}: {error}") from None


class _Reader:
    """Looks up structures by their addresses; every one must lie in the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.start = 0
        self.met: set[int] = set()  # addresses of the objects that were read: none may hold itself

    def fail(self, reason: str) -> NoReturn:
        raise Refused(reason)

    def take(self, at: int, count: int, what: str) -> bytes:
        """`count` bytes at an address."""
        self.start = at
        if at < 0 or count < 0 or at + count > len(self.data):
            self.fail(f"{what} of {count} bytes, but the file has {len(self.data)}: cut short or damaged")
        return self.data[at : at + count]

    def numbers(self, form: str, at: int, what: str) -> tuple[Any, ...]:
        """Little-endian numbers as `struct` spells them."""
        return struct.unpack(f"<{form}", self.take(at, struct.calcsize(f"<{form}"), what))

    def signed(self, at: int, signature: bytes, version: int) -> None:
        """Checks the first four bytes of a structure, and its version where it is told next."""
        if self.take(at, 4, "a signature") != signature:
            self.fail(f"{signature.decode()} expected: damaged")
        if version >= 0 and self.take(at + 4, 1, "a version")[0] != version:
            self.fail(f"{signature.decode()} of version {self.data[at + 4]}, expected {version}")

    def root(self) -> dict[str, Any]:
        """From the superblock."""
        version, _, _, _, _, offsets, lengths = self.numbers("7B", 8, "the superblock")
        if version != 0 or (offsets, lengths) != (8, 8):
            self.fail(
                f"superblock {version} with addresses of {offsets} bytes; expected 0 and 8, as h5py writes by default"
            )
        base, _, end, _, _, header = self.numbers("6Q", 24, "the superblock")
        if base or end > len(self.data):
            self.fail(f"the file should have {end} bytes and has {len(self.data)}: cut short or damaged")
        found = self.object(header, 0)
        if not isinstance(found, dict):
            self.fail("the root is no group: damaged")
        return found

    def object(self, at: int, depth: int) -> Any:
        """A group or an array, by the address of its header."""
        if at in self.met or depth > DEPTH:
            self.fail(f"an object that holds itself, or groups more than {DEPTH} deep: damaged")
        self.met.add(at)
        body: dict[int, int] = {}
        named: dict[str, list[str]] = {}
        for kind, place, size in self.messages(at):
            if kind == FILTERS:
                self.fail("an array that is compressed, which Keras does not write")
            if kind == ATTRIBUTE:
                named |= self.attribute(place, size)
            body.setdefault(kind, place)
        if SYMBOL_TABLE in body:
            members = {name: self.object(child, depth + 1) for name, child in self.members(body[SYMBOL_TABLE])}
            return members | {f"@{name}": strings for name, strings in named.items()}
        if not {DATASPACE, DATATYPE, LAYOUT} <= set(body):
            self.fail("an object that is neither a group nor an array")
        return self.array(body[DATASPACE], body[DATATYPE], body[LAYOUT])

    def messages(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Of an object's header: kind, address and size of each."""
        version, _, count, _, size = self.numbers("BBHII", at, "an object's header")
        if version != 1:
            self.fail(f"an object's header of version {version}, expected 1")
        blocks = [(at + 16, size)]
        for begin, length in blocks:  # grows while it is read
            self.take(begin, length, "an object's header")
            place = begin
            while count and place + 8 <= begin + length:
                kind, size, flags = self.numbers("HHB", place, "a message")
                if place + 8 + size > begin + length:
                    self.fail(f"a message of {size} bytes reaches out of its header: damaged")
                if flags & 2:
                    self.fail("a message that is shared, which Keras does not write")
                if kind == CONTINUATION:
                    blocks.append(self.numbers("QQ", place + 8, "a continuation"))
                    if len(blocks) > MOST:
                        self.fail("a header that never ends: damaged")
                yield kind, place + 8, size
                place, count = place + 8 + size, count - 1

    def members(self, place: int) -> Iterator[tuple[str, int]]:
        """Of a group: each name, and the address of its object's header."""
        tree, heap = self.numbers("QQ", place, "a group")
        self.signed(heap, b"HEAP", 0)
        size, _, names = self.numbers("QQQ", heap + 8, "a heap")
        self.take(names, size, "a heap")
        for leaf in self.leaves(tree, 0):
            self.signed(leaf, b"SNOD", 1)
            (count,) = self.numbers("H", leaf + 6, "a group's names")
            for i in range(count):
                name, header, cache = self.numbers("QQI", leaf + 8 + 40 * i, "a group's name")
                if cache == 2:
                    self.fail("a link to another place, which Keras does not write")
                if name >= size:
                    self.fail("a name that does not lie in its heap: damaged")
                yield self.data[names + name : names + size].partition(b"\0")[0].decode("utf-8", "replace"), header

    def leaves(self, at: int, depth: int) -> Iterator[int]:
        """Addresses of the nodes below a tree's node that hold names."""
        if depth > DEPTH:
            self.fail(f"a tree more than {DEPTH} deep: damaged")
        self.signed(at, b"TREE", -1)
        kind, level, count = self.numbers("BBH", at + 4, "a tree")
        if kind:
            self.fail(f"a tree of kind {kind}, expected one of a group")
        for i in range(count):
            (child,) = self.numbers("Q", at + 24 + 8 + 16 * i, "a tree")
            if level:
                yield from self.leaves(child, depth + 1)
            else:
                yield child

    def space(self, at: int) -> tuple[int, ...]:
        """An array's shape."""
        version, rank = self.numbers("BB", at, "a shape")
        if version not in (1, 2) or rank > 32:
            self.fail(f"a shape of version {version} with {rank} axes")
        return self.numbers(f"{rank}Q", at + (8 if version == 1 else 4), "a shape")

    def type(self, at: int) -> _Type:
        """What an array holds."""
        first, flags, _, _, size = self.numbers("BBBBI", at, "a type")
        kind = first & 15
        if kind in (0, 1) and flags & 1:
            self.fail("numbers of a big-endian machine, which are not read")
        if kind == 0 and size in (1, 2, 4, 8):
            return _Type("i" if flags & 8 else "u", size)
        if kind == 1 and size in (2, 4, 8):
            return _Type("f", size)
        return _Type("S" if kind == 3 else None, size)

    def array(self, space: int, type_: int, layout: int) -> torch.Tensor:
        """An array of numbers."""
        shape, (code, size) = self.space(space), self.type(type_)
        if code not in ("f", "i", "u"):
            self.fail("an array of anything but numbers")
        version, kind = self.numbers("BB", layout, "a layout")
        if version != 3 or kind != 1:
            how = {0: "in its header", 2: "in chunks"}.get(kind, "in an unknown way")
            self.fail(f"an array stored {how} (layout {version}); expected one piece, as Keras writes it")
        at, length = self.numbers("QQ", layout + 2, "a layout")
        count = math.prod(shape)
        if at == UNDEFINED and not count:
            return torch.empty(shape)
        if length != count * size:
            self.fail(f"an array of {length} bytes, expected {count * size} for the shape {shape}: damaged")
        array = np.frombuffer(self.take(at, length, "an array"), f"<{code}{size}").reshape(shape)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a copy that can be written to

    def attribute(self, at: int, room: int) -> dict[str, list[str]]:
        """An attribute by its name, if it is a list of strings."""
        version, _, name_size, type_size, space_size = self.numbers("BBHHH", at, "an attribute")
        if version != 1:
            self.fail(f"an attribute of version {version}, expected 1")
        padded = [size + -size % 8 for size in (name_size, type_size, space_size)]
        places = [at + 8, at + 8 + padded[0], at + 8 + sum(padded[:2]), at + 8 + sum(padded)]
        if places[3] > at + room:
            self.fail("an attribute reaches out of its message: damaged")
        code, size = self.type(places[1])
        shape = self.space(places[2])
        if code != "S" or len(shape) != 1:
            return {}
        if shape[0] * size > at + room - places[3]:
            self.fail(f"an attribute of {shape[0]} strings reaches out of its message: damaged")
        raw = self.take(places[3], shape[0] * size, "an attribute")
        strings = [
            raw[i : i + size].partition(b"\0")[0].decode("utf-8", "replace") for i in range(0, len(raw), size or 1)
        ]
        return {self.take(places[0], name_size, "a name").partition(b"\0")[0].decode("utf-8", "replace"): strings}
