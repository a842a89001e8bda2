import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from lightning_modules.formats.content import tensors
from lightning_modules.formats.reading import read
from tests.helpers.h5_files import Writer, write_h5

ARRAYS: dict[str, Any] = {
    "float": np.arange(6, dtype="<f4").reshape(1, 2, 3),
    "double": np.array([1.5, -2.5]),
    "long": np.array([[-(2**40), 7]]),
    "byte": np.arange(5, dtype=np.uint8),
    "one": np.float32(3.0),
}
CONTENT: dict[str, Any] = {
    "@layer_names": ["conv2d_1", "a", "norm_12"],
    "model": {"@weight_names": ["x:0"], "deep": {"x:0": ARRAYS["float"]}, "empty": {}},
    **{f"many{i:02}": {"a": np.array([i], np.float32)} for i in range(20)},  # more than one node of names
    **ARRAYS,
}


@pytest.mark.parametrize("split", [False, True])
def test_groups_arrays_and_strings(tmp_path: Path, split: bool) -> None:
    file = read(write_h5(tmp_path / "a.h5", CONTENT, split))
    assert file.format == "HDF5" and set(file.content) == set(CONTENT)
    assert file.content["@layer_names"] == CONTENT["@layer_names"]
    assert file.content["model"]["@weight_names"] == ["x:0"] and file.content["model"]["empty"] == {}
    found = tensors(file.content)
    for name, value in {**ARRAYS, "model.deep.x:0": ARRAYS["float"], "many19.a": np.array([19], np.float32)}.items():
        expected = torch.from_numpy(np.asarray(value))
        assert found[name].dtype == expected.dtype and torch.equal(found[name], expected), name
    found["float"][:] = 0  # may be written to


def small() -> bytes:
    writer = Writer()
    return writer.finish(writer.group({"@names": ["a", "b"], "g": {"x": np.arange(9.0)}}))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = small()
    path = tmp_path / "a.h5"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BenchError, match=r"a\.h5"):
            read(path)


def test_a_byte_changed_anywhere_is_an_error_or_other_numbers(tmp_path: Path) -> None:
    """Never another exception, and never without an end."""
    whole, path = small(), tmp_path / "a.h5"
    refused = 0
    for at in range(0, len(whole), 3):
        for value in (0, 255, whole[at] ^ 1):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                read(path)
            except BenchError as error:
                assert "a.h5" in str(error)
                refused += 1
    assert refused > len(whole) // 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:8] + b"\x02" + w[9:], "superblock 2 .* expected 0"),
        (lambda w: w[:13] + b"\x04" + w[14:], "addresses of 4 bytes"),
        (lambda w: w.replace(b"SNOD\x01", b"SNOD\x02"), "SNOD of version 2, expected 1"),
        (lambda w: w.replace(b"TREE\x00", b"TREE\x01"), "tree of kind 1"),
        (lambda w: w.replace(b"HEAP", b"HOAP"), "HEAP expected: damaged"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(change(small()))
    with pytest.raises(BenchError, match=rf"a\.h5: byte \d+: .*{message}"):
        read(path)


def header_of(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A file whose root has a group with one odd message more."""
    writer = Writer()
    array = writer.array(np.arange(3.0))
    size = struct.unpack_from("<I", writer.out, array + 8)[0]
    whole = bytes(writer.out[array + 16 : array + 16 + size])
    odd = writer.put(
        struct.pack("<BBHIIxxxx", 1, 0, 5, 1, size + 8 + len(body))
        + struct.pack("<HHBxxx", kind, len(body), flags)
        + body
        + whole
    )
    writer.value = lambda value: odd  # type: ignore[method-assign]
    return writer.finish(writer.group({"x": 0}))


@pytest.mark.parametrize(
    ("kind", "body", "flags", "message"),
    [
        (0xB, bytes(8), 0, "compressed"),
        (0x3, struct.pack("<BBBBI", 0x11, 1, 0, 0, 8) + bytes(16), 0, "big-endian"),
        (0x3, struct.pack("<BBBBI", 0x19, 0, 0, 0, 16) + bytes(16), 0, "anything but numbers"),
        (0x8, struct.pack("<BB", 3, 2) + bytes(22), 0, "in chunks"),
        (0x8, struct.pack("<BBQQ", 3, 1, 96, 16) + bytes(6), 0, "16 bytes, expected 24"),
        (0x8, struct.pack("<BBQQ", 3, 1, 2**60, 24) + bytes(6), 0, "cut short or damaged"),
        (0x1, struct.pack("<BBBxxxxxQ", 1, 1, 0, 2**62), 0, "expected"),
        (0x5, bytes(8), 2, "shared"),
    ],
)
def test_odd_messages_are_named(tmp_path: Path, kind: int, body: bytes, flags: int, message: str) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(header_of(kind, body, flags))
    with pytest.raises(BenchError, match=rf"a\.h5: byte \d+: .*{message}"):
        read(path)


def test_a_group_that_holds_itself(tmp_path: Path) -> None:
    writer = Writer()
    root = writer.group({"@a": ["b"], "x": np.arange(3.0)})
    whole = writer.finish(root)
    (tree,) = struct.unpack_from("<Q", whole, root + 24)
    (leaf,) = struct.unpack_from("<Q", whole, tree + 32)
    path = tmp_path / "a.h5"
    path.write_bytes(whole[: leaf + 16] + struct.pack("<Q", root) + whole[leaf + 24 :])
    with pytest.raises(BenchError, match="holds itself"):
        read(path)
