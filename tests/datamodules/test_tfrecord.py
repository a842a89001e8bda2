import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from datamodules.bad_files import BadFile
from datamodules.crc32c import crc32c
from datamodules.tfrecord import count_records, masked, parse_features, read_records
from tests.datamodules.tfrecord_files import Values, example, field, frame, slow_crc32c, table_crc32c, varint, write


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8).tobytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, B.4, and the usual check value
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_known_checksums(data: bytes, expected: int) -> None:
    assert crc32c(data) == slow_crc32c(data) == expected
    assert crc32c(memoryview(data)) == expected


def test_checksums_of_all_lengths_equal_the_bitwise_loop() -> None:
    data = noise(300)
    for size in range(300):
        assert crc32c(data[:size]) == slow_crc32c(data[:size]) == table_crc32c(data[:size])
    for size in (4095, 4096, 4097, 70_001):
        assert crc32c(noise(size)) == table_crc32c(noise(size))
    assert crc32c(data) != zlib.crc32(data)


def test_stored_checksums_are_rotated_and_shifted() -> None:
    assert masked(0) == 0xA282EAD8
    assert masked(0x7FFF) == (0x7FFF << 17 & 0xFFFFFFFF) + 0xA282EAD8 - 2**32
    assert masked(0x8000) == 0xA282EAD9  # bit 15 comes to the bottom


def test_records_come_out_as_they_were_written(tmp_path: Path) -> None:
    path, contents = tmp_path / "some.tfrecords", [noise(100), b"", noise(5000, 1), b"x"]
    write(path, contents)
    records = list(read_records(path))
    assert [record.data for record in records] == contents and count_records(path) == 4
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert [record.offset for record in records] == [0, 116, 132, 5148]
    path.write_bytes(b"")
    assert list(read_records(path)) == [] and count_records(path) == 0


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (115, r"record 0 at byte 0: cut short: it ends at byte 116, but the file at byte 115"),
        (13, r"record 0 at byte 0: cut short"),
        (120, r"record 1 at byte 116: cut short within its header: 4 of 12 bytes"),
        (250, r"record 1 at byte 116: cut short: it ends at byte 332, but the file at byte 250"),
    ],
)
def test_a_cut_file_names_record_and_byte(size: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.tfrecords"
    write(path, [noise(100), noise(200)])
    path.write_bytes(path.read_bytes()[:size])
    for read in (count_records, lambda p: list(read_records(p))):
        with pytest.raises(BadFile, match=message):
            read(path)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "flipped.tfrecords"
    write(path, [noise(40), noise(30)])
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 3):
        octets = bytearray(whole)
        octets[bit // 8] ^= 1 << bit % 8
        path.write_bytes(octets)
        place = (0, 0) if bit // 8 < 56 else (1, 56)
        header = bit // 8 - place[1] < 12
        message = "its length .* does not have" if header else "bytes do not have the checksum that follows them"
        with pytest.raises(BadFile, match=rf"record {place[0]} at byte {place[1]}: .*{message}"):
            list(read_records(path))


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for content in (b"a text, long enough", gzip.compress(frame(noise(50))), bytes(100)):
        path.write_bytes(content)
        with pytest.raises(BadFile, match=r"record 0 at byte 0: .*no TFRecord file, or a compressed one"):
            count_records(path)


@pytest.mark.parametrize("packed", [True, False])
def test_features_of_every_kind(packed: bool) -> None:
    written: dict[str, Values] = {
        "bytes": [b"one", b"", noise(70_000)],
        "floats": np.array([1.5, -2.25, 3e38, 0], dtype=np.float32),
        "integers": np.array([0, 1, 127, 128, 300, -1, 2**63 - 1, -(2**63)]),
        "none": np.array([], dtype=np.float32),
        "naïve key": [b"x"],
    }
    got = parse_features(example(written, packed))
    assert list(got) == list(written) and got["bytes"] == written["bytes"] and got["naïve key"] == [b"x"]
    for key, dtype in (("floats", np.float32), ("integers", np.int64), ("none", np.float32)):
        values = got[key]
        assert isinstance(values, np.ndarray) and values.dtype == dtype
        np.testing.assert_array_equal(values, written[key])


def test_a_sequence_example_has_its_context_in_the_same_place() -> None:
    context = {"a": [b"x"]}
    lists = field(1, field(1, b"frames") + field(2, field(1, b"")))
    assert parse_features(example(context) + field(2, lists)) == context


def test_unknown_fields_are_passed_over() -> None:
    unknown = field(9, b"later") + varint(8 << 3) + varint(300) + varint(7 << 3 | 1) + bytes(8) + varint(6 << 3 | 5)
    assert parse_features(unknown + bytes(4) + example({"a": [b"x"]})) == {"a": [b"x"]}


@pytest.mark.parametrize(
    "data", [b"\x0a\xff\x01", b"\x0b", b"\xff" * 11, example({"a": [b"x" * 50]})[:-7], field(1, field(1, b"\x12"))]
)
def test_what_is_no_example_names_the_record(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.tfrecords"
    write(path, [example({}), data])
    first, second = read_records(path)
    assert first.features() == {}
    with pytest.raises(BadFile, match="record 1 at byte 18: holds no readable Example"):
        second.features()


def test_the_headers_alone_are_read_for_counting(tmp_path: Path) -> None:
    path = tmp_path / "some.tfrecords"
    write(path, [noise(100), noise(100)])
    octets = bytearray(path.read_bytes())
    octets[50] ^= 1  # damaged data, which only reading finds
    path.write_bytes(octets)
    assert count_records(path) == 2
    with pytest.raises(BadFile, match="record 0 at byte 0: its 100 bytes"):
        list(read_records(path))
    assert struct.unpack("<Q", octets[:8])[0] == 100
