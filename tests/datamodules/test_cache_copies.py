"""Copies on the node's own disk, and whether a cache still holds what was written."""

from pathlib import Path

import numpy as np
import pytest

from datamodules import cache_stage
from datamodules.cache import built_cache, open_cache
from datamodules.cache_verify import damaged_videos
from datamodules.content import Source
from datamodules.errors import BenchError
from tests.datamodules.byte_reader import ByteReader, byte_files
from tests.datamodules.listing import names_in


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    return byte_files(tmp_path / "data", a=b"one", b=b"two", c=b"three")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_STAGE", str(tmp_path / "node" / "disk"))
    return tmp_path / "node" / "disk"


def test_a_staged_cache_is_read_from_the_copy(sources: list[Source], stage: Path, cache_folder: Path) -> None:
    cache = open_cache("bytes", sources, ByteReader())
    assert cache.folder.parent == stage and names_in(stage) == [cache.folder.name]
    original = cache_folder / cache.folder.name
    for name in names_in(original):
        assert (cache.folder / name).read_bytes() == (original / name).read_bytes()
    assert cache.select(np.arange(3)).path.parent == cache.folder


def test_a_copy_is_made_once(sources: list[Source], stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_cache("bytes", sources, ByteReader())
    monkeypatch.setattr(cache_stage, "_copy", lambda *_: pytest.fail("copied again"))
    open_cache("bytes", sources, ByteReader())


def test_half_a_copy_is_made_anew(sources: list[Source], stage: Path) -> None:
    folder = open_cache("bytes", sources, ByteReader()).folder
    (folder / "manifest.json").write_text("{}")
    (folder / "frames.u8").write_bytes(b"")
    (stage / f".{folder.name}.copying-1").mkdir()
    assert open_cache("bytes", sources, ByteReader()).lengths.tolist() == [3, 3, 5]
    assert names_in(stage) == [folder.name]


def test_a_small_node_disk_is_refused(sources: list[Source], stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_stage, "free_bytes", lambda _: 100)
    with pytest.raises(
        BenchError, match=r"REELBENCH_STAGE=.* has 100 B free, but the cache bytes-.* needs .* kB; .*unset"
    ):
        open_cache("bytes", sources, ByteReader())
    assert not stage.exists() or names_in(stage) == []


def test_a_sound_cache_is_verified(sources: list[Source]) -> None:
    open_cache("bytes", sources, ByteReader())
    assert damaged_videos(built_cache("bytes", sources, ByteReader())) == []


@pytest.mark.parametrize(("place", "name"), [(0, "a"), (3 * 24, "b"), (11 * 24 - 1, "c")])
def test_a_flipped_bit_is_found(sources: list[Source], place: int, name: str) -> None:
    cache = open_cache("bytes", sources, ByteReader())
    frames = cache.folder / "frames.u8"
    data = bytearray(frames.read_bytes())
    data[place] ^= 4
    frames.write_bytes(data)
    ((found, reason),) = damaged_videos(cache)
    assert found == name and "its frames have the digest" in reason


def test_what_was_not_built_is_not_verified(sources: list[Source]) -> None:
    with pytest.raises(BenchError, match=r"no cache of these files: .* is missing; reelbench data build makes it"):
        built_cache("bytes", sources, ByteReader())
    open_cache("bytes", sources, ByteReader())
    with pytest.raises(BenchError, match=r"is missing; there are bytes-.*, of other files or another policy"):
        built_cache("bytes", sources, ByteReader(size=9))
