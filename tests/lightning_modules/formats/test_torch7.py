import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, tensors
from lightning_modules.formats.reading import read
from tests.helpers.t7_files import Lua, Writer, write_t7


def test_values_of_all_kinds(tmp_path: Path) -> None:
    value = {"a": 1.5, "b": True, "c": "text", "d": ["x", 2, None], 3: {"nothing": None}, "minus": -7, "wide": 2.0**40}
    found = read(write_t7(tmp_path / "a.t7", value), ()).content
    expected = {"a": 1.5, "b": True, "c": "text", "d": {1: "x", 2: 2, 3: None}, 3: {"nothing": None}}
    assert found == {**expected, "minus": -7, "wide": 2**40}
    assert isinstance(found["minus"], int) and found["b"] is True


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8])
@pytest.mark.parametrize("cuda", [False, True])
def test_tensors_are_views_of_shared_storages(tmp_path: Path, dtype: torch.dtype, cuda: bool) -> None:
    base = torch.arange(60).to(dtype)
    value = {"all": base, "part": base[6:30].view(2, 3, 4), "turned": base[:12].view(3, 4).T, "empty": base[:0]}
    found = read(write_t7(tmp_path / "a.t7", value, cuda), ()).content
    for name, tensor in value.items():
        assert found[name].dtype == dtype and torch.equal(found[name], tensor), name
    assert found["part"].untyped_storage().data_ptr() == found["all"].untyped_storage().data_ptr()


def test_objects_and_what_they_share(tmp_path: Path) -> None:
    shared = Lua("nn.ReLU", inplace=True)
    tree = Lua("nn.Sequential", modules=[shared, Lua("nn.Sequential", modules=[shared])])
    found = read(write_t7(tmp_path / "a.t7", tree), {"nn.Sequential", "nn.ReLU"}).content
    assert isinstance(found, Instance) and found.class_name == "nn.Sequential"
    first, second = found.fields["modules"][1], found.fields["modules"][2]
    assert first is second.fields["modules"][1] and first.fields == {"inplace": True}


def test_a_table_that_holds_itself(tmp_path: Path) -> None:
    table: dict[str, Any] = {"x": torch.ones(2)}
    table["self"] = table
    found = read(write_t7(tmp_path / "a.t7", table), ()).content
    assert found["self"] is found and list(tensors(found)) == ["x"]


@pytest.mark.parametrize("kind", [6, 7, 8])
def test_functions_are_refused_with_their_byte(tmp_path: Path, kind: int) -> None:
    writer = Writer()
    writer.int32(3, 1, 1)  # a table of one entry
    writer.value("f")
    at = len(writer.out)
    writer.int32(kind, 2, 4)
    writer.out += b"\x1bLJ\2" + bytes(8)
    (tmp_path / "a.t7").write_bytes(bytes(writer.out))
    with pytest.raises(BenchError, match=rf"a\.t7: byte {at}: a function, which is a program: refused"):
        read(tmp_path / "a.t7", ())


def test_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    path = write_t7(tmp_path / "a.t7", Lua("nn.Sequential", modules=[Lua("nn.Evil")]))
    with pytest.raises(BenchError, match=r"byte \d+: an object of class 'nn\.Evil', which is not read: refused"):
        read(path, {"nn.Sequential"})


def test_every_cut_is_an_error_that_names_a_byte(tmp_path: Path) -> None:
    tree = Lua("nn.Linear", weight=torch.ones(2, 3), bias=torch.zeros(2), sizes=[1, 2], on=True)
    whole = write_t7(tmp_path / "a.t7", tree).read_bytes()
    cut = tmp_path / "cut.t7"
    for length in range(4, len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(BenchError, match=r"cut\.t7: byte \d+: .*cut short or damaged"):
            read(cut, {"nn.Linear"})
    cut.write_bytes(whole + b"\0")
    with pytest.raises(BenchError, match="1 bytes follow the object"):
        read(cut, {"nn.Linear"})


def test_any_flipped_byte_is_read_or_refused(tmp_path: Path) -> None:
    tree = Lua("nn.Linear", weight=torch.ones(2, 3), bias=torch.zeros(2), sizes=[1, 2], on=True)
    whole = write_t7(tmp_path / "a.t7", tree).read_bytes()
    other, refused = tmp_path / "other.t7", 0
    for place in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            other.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                read(other, {"nn.Linear"})
            except BenchError as error:
                refused += 1
                assert str(error).startswith(f"{other}: byte ")
    assert refused > len(whole)


def tensor_file(path: Path, size: tuple[int, ...], stride: tuple[int, ...], offset: int, count: int) -> Path:
    writer = Writer()
    writer.int32(4, 1)
    writer._names("torch.FloatTensor")
    writer.int32(len(size))
    writer.int64(*size, *stride, offset)
    writer.int32(4, 2)
    writer._names("torch.FloatStorage")
    writer.int64(count)
    writer.out += bytes(4 * 6)
    path.write_bytes(bytes(writer.out))
    return path


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((2, 4), (3, 1), 1),
        ((6,), (1,), 2),
        ((6,), (1,), 0),
        ((-1,), (1,), 1),
        ((2,), (-1,), 1),
        ((2**62,), (0,), 1),
        ((2**40, 2**40), (1, 1), 1),
    ],
)
def test_tensors_outside_their_storage_are_refused(
    tmp_path: Path, size: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> None:
    assert read(tensor_file(tmp_path / "a.t7", (2, 3), (3, 1), 1, 6), ()).content.shape == (2, 3)
    with pytest.raises(BenchError, match=r"byte \d+: it holds a tensor of size"):
        read(tensor_file(tmp_path / "a.t7", size, stride, offset, 6), ())


@pytest.mark.parametrize("count", [7, 2**40, 2**62, -1])
def test_absurd_storages_are_refused_before_memory_is_taken(tmp_path: Path, count: int) -> None:
    with pytest.raises(BenchError, match=r"torch\.FloatStorage of -?\d+ numbers of -?\d+ bytes, but \d+ are left"):
        read(tensor_file(tmp_path / "a.t7", (2, 3), (3, 1), 1, count), ())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (struct.pack("<ii", 3, 1) + struct.pack("<i", 2**31 - 1), "a table of 2147483647 entries"),
        (struct.pack("<ii", 3, 1) + struct.pack("<i", -1), "a table of -1 entries"),
        (struct.pack("<iii", 3, 1, 1) + struct.pack("<iiii", 5, 2, 0, 0), "a boolean of 2"),
        (struct.pack("<iii", 3, 1, 1) + struct.pack("<iiii", 0, 0, 0, 0), "key None"),
        (struct.pack("<iii", 3, 1, 1) + struct.pack("<iiii", 2, -5, 0, 0), "a string of -5 bytes"),
        (struct.pack("<iii", 3, 1, 1) + struct.pack("<iiii", 9, 0, 0, 0), "unknown type 9"),
    ],
)
def test_damaged_values(tmp_path: Path, body: bytes, reason: str) -> None:
    (tmp_path / "a.t7").write_bytes(body)
    with pytest.raises(BenchError, match=rf"a\.t7: byte \d+: .*{reason}"):
        read(tmp_path / "a.t7", ())


def test_an_object_is_of_one_kind(tmp_path: Path) -> None:
    writer = Writer()
    writer.int32(3, 1, 1)
    writer.value("x")
    writer.int32(4, 1)  # the table again, now as an object
    (tmp_path / "a.t7").write_bytes(bytes(writer.out))
    with pytest.raises(BenchError, match="object 1 is a table, and then not"):
        read(tmp_path / "a.t7", ())


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    body = b"".join(struct.pack("<iii", 3, n, 1) + struct.pack("<id", 1, 1.0) for n in range(1, 5000))
    (tmp_path / "a.t7").write_bytes(body + struct.pack("<i", 0))
    with pytest.raises(BenchError, match=r"byte \d+: objects are nested more than 200 deep"):
        read(tmp_path / "a.t7", ())


def test_files_of_32_bit_machines_or_in_ascii_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.t7").write_bytes(b"4\n1\n3\nV 1\n17\ntorch.FloatTensor\n")
    with pytest.raises(BenchError, match="not Torch7's 64-bit binary form"):
        read(tmp_path / "a.t7", ())
