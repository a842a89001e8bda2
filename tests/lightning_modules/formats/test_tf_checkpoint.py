import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.crc32c import crc32c
from datamodules.errors import BenchError
from datamodules.restricted_pickle import Refused
from datamodules.tfrecord import masked
from lightning_modules.formats.reading import read
from lightning_modules.formats.sstable import entries
from tests.helpers.tf_files import block, message, number, table, varint, write_checkpoint

VARIABLES: dict[str, Any] = {
    "a/weights": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    "a/weights/Adam": np.full((3,), 0.5, np.float32),
    "b": np.float64(2.5),
    "c/none": np.zeros((0, 3), np.float32),
    "d": np.array([[-1, 2**40]], np.int64),
    "e/flags": np.array([True, False]),
    "f/half": np.array([1.5], np.float16),
}


@pytest.mark.parametrize("shards", [1, 3])
def test_variables_come_back(tmp_path: Path, shards: int) -> None:
    index = write_checkpoint(tmp_path / "model.ckpt-7", VARIABLES, shards)
    found = read(index)
    assert found.format == "TensorFlow checkpoint" and list(found.content) == sorted(VARIABLES)
    for name, array in VARIABLES.items():
        expected = torch.from_numpy(np.asarray(array))
        assert found.content[name].dtype == expected.dtype and torch.equal(found.content[name], expected)


@pytest.mark.parametrize(
    ("said", "message_"),
    [
        ({"dtype": 7}, "its variable f/half is of TensorFlow's type 7"),
        ({"shape": (2,)}, r"its variable f/half has 2 bytes, expected 4 for shape \(2,\)"),
        ({"shape": (2**63,)}, r"has shape \(-9223372036854775808,\)"),
        ({"shape": (1,) * 17}, "has shape"),
        ({"shard": 1}, "lies in data file 1 of 1"),
        ({"offset": 2**40}, "its variable f/half ends at byte 1099511627778, but model.ckpt.data-00000-of-00001 at"),
        ({"size": 2**50, "shape": (2**49,)}, "ends at byte"),
        ({"crc": 1}, "does not have the checksum of the index: model.ckpt.data-00000-of-00001 is damaged"),
        ({"extra": message(7, b"")}, "its variable f/half lies in slices"),
    ],
)
def test_entries_that_lie(tmp_path: Path, said: dict[str, Any], message_: str) -> None:
    index = write_checkpoint(tmp_path / "model.ckpt", VARIABLES, said=said)
    with pytest.raises(BenchError, match=message_) as error:
        read(index)
    assert str(error.value).startswith(f"{index} is refused: ")


@pytest.mark.parametrize(("option", "message_"), [({"endianness": 1}, "big-endian"), ({"kind": 1}, "packed by Snappy")])
def test_files_of_another_kind(tmp_path: Path, option: dict[str, Any], message_: str) -> None:
    with pytest.raises(BenchError, match=message_):
        read(write_checkpoint(tmp_path / "model.ckpt", VARIABLES, **option))


def test_bytes_of_the_index_are_checked(tmp_path: Path) -> None:
    """No changed byte gives other variables, and no cut an exception of another kind."""
    index = write_checkpoint(tmp_path / "model.ckpt", VARIABLES)
    good, expected = index.read_bytes(), read(index).content
    for place in range(0, len(good), 3):
        index.write_bytes(good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :])
        try:
            found = read(index).content
        except BenchError as error:
            assert str(index) in str(error)
        else:  # what lies between footer and magic number is padding, and the restarts are not needed
            assert found.keys() == expected.keys() and all(torch.equal(found[k], expected[k]) for k in found)
        index.write_bytes(good[:place])
        with pytest.raises(BenchError, match=r"model\.ckpt\.index"):
            read(index)


def test_damaged_and_missing_data(tmp_path: Path) -> None:
    index = write_checkpoint(tmp_path / "model.ckpt", VARIABLES)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    good = data.read_bytes()
    data.write_bytes(good[:9] + b"\xff" + good[10:])
    with pytest.raises(BenchError, match="its variable a/weights does not have the checksum"):
        read(index)
    data.write_bytes(good[:-1])
    with pytest.raises(BenchError, match="its variable f/half ends at byte"):
        read(index)
    data.unlink()
    with pytest.raises(BenchError, match=r"its data file model.ckpt.data-00000-of-00001 is missing: put it beside"):
        read(index)


@pytest.mark.parametrize(
    ("blocks", "message_"),
    [
        ([[(b"b", b""), (b"a", b"")]], "its key b'a' stands behind b'b'"),
        ([[(b"a", b"")], [(b"a", b"")]], "its key b'a' stands behind b'a'"),
        ([[(b"a" * 5000, b"")]], "an entry at .* that does not fit"),
    ],
)
def test_tables_out_of_order(blocks: list[list[tuple[bytes, bytes]]], message_: str) -> None:
    with pytest.raises(Refused, match=message_):
        list(entries(table(blocks)))


@pytest.mark.parametrize(
    ("body", "message_"),
    [
        (varint(3) + varint(1) + varint(0) + b"a" + struct.pack("<II", 0, 1), "an entry at .* does not fit"),
        (varint(0) + varint(1) + varint(99) + b"a" + struct.pack("<II", 0, 1), "an entry at .* does not fit"),
        (block([(b"a", b"")])[:-4] + struct.pack("<I", 10**6), "has 1000000 restarts"),
        (b"", "has -1 restarts"),
    ],
)
def test_blocks_that_lie(body: bytes, message_: str) -> None:
    def packed(content: bytes) -> bytes:
        return content + b"\0" + struct.pack("<I", masked(crc32c(content + b"\0")))

    index = block([(b"z", varint(0) + varint(len(body)))])
    data = packed(body) + packed(index)
    footer = varint(0) + varint(len(body)) + varint(len(body) + 5) + varint(len(index))
    whole = data + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    with pytest.raises(Refused, match=message_):
        list(entries(whole))


def test_an_index_of_something_else(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"\x80\x02}q\x00." * 20):
        (tmp_path / "search.index").write_bytes(content)
        with pytest.raises(BenchError, match="do not end as a table does: cut short, or no index of a checkpoint"):
            read(tmp_path / "search.index")
    (tmp_path / "other.index").write_bytes(table([[(b"a", number(1, 1))]]))
    with pytest.raises(BenchError, match="its first entry does not say how many data files"):
        read(tmp_path / "other.index")


@pytest.mark.parametrize("name", ["model.ckpt.data-00000-of-00001", "model.ckpt.meta", "checkpoint"])
def test_other_parts_ask_for_the_index(tmp_path: Path, name: str) -> None:
    write_checkpoint(tmp_path / "model.ckpt", VARIABLES)
    (tmp_path / name).touch()
    with pytest.raises(BenchError, match=f"{name} is another part of a TensorFlow checkpoint; name its .index file"):
        read(tmp_path / name)


def test_the_name_that_tensorflow_gives_asks_for_the_index(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model.ckpt-7", VARIABLES)
    with pytest.raises(BenchError, match=r"model.ckpt-7 cannot be read: .*; did you mean model.ckpt-7.index\?"):
        read(tmp_path / "model.ckpt-7")
