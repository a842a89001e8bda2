import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datamodules import cache as cache_module
from datamodules import cache_build, cache_journal
from datamodules import content as content_module
from datamodules.cache import cache_root, open_cache
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.store import Cache, CachedStore
from tests.datamodules.byte_reader import ByteReader, byte_files
from tests.datamodules.listing import names_in
from tests.datamodules.processes import ROOT


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    return byte_files(tmp_path / "data", a=bytes([1, 2, 3]), b=bytes([10, 20]), c=bytes(range(100, 150)))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read to identify them."""
    names: list[str] = []
    original = content_module._hash

    def spy(path: Path) -> tuple[int, str]:
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(content_module, "_hash", spy)
    return names


def everything(cache: Cache) -> CachedStore:
    return cache.select(np.arange(len(cache.names)))


def left_in(folder: Path) -> list[str]:
    return [name for name in names_in(folder) if name != "known"]


def test_frames_come_back_as_they_were_read(sources: list[Source], cache_folder: Path) -> None:
    cache = open_cache("bytes", sources, ByteReader())
    assert cache.folder.parent == cache_folder and cache.folder.name.startswith("bytes-")
    assert names_in(cache.folder) == ["frames.u8", "index.npz", "manifest.json"]
    assert (cache.names, cache.lengths.tolist(), cache.total) == (["a", "b", "c"], [3, 2, 50], 3)
    assert cache.attributes["category"].tolist() == [0, 1, 0]
    clips = everything(cache).gather(np.array([2, 0, 2]), np.array([[49, 0], [2, 1], [7, 7]]))
    assert (
        clips.shape == (3, 2, 2, 4, 3) and clips.dtype == np.uint8 and clips.transpose(0, 4, 1, 2, 3).flags.c_contiguous
    )
    expected = np.array([[149, 100], [3, 2], [107, 107]])
    np.testing.assert_array_equal(clips, np.broadcast_to(expected[..., None, None, None], clips.shape))
    assert everything(cache).gather(np.empty(0, dtype=int), np.empty((0, 5), dtype=int)).shape == (0, 5, 2, 4, 3)


def test_a_part_of_the_videos_is_numbered_anew(sources: list[Source]) -> None:
    part = open_cache("bytes", sources, ByteReader()).select(np.array([2, 1]))
    assert part.names == ["c", "b"] and part.attributes["category"].tolist() == [0, 1]
    assert part.gather(np.array([0, 1]), np.array([[3], [1]]))[:, 0, 0, 0, 0].tolist() == [103, 20]


@pytest.mark.parametrize("frame", [-1, 2])
def test_frames_of_the_neighbouring_video_are_never_given(sources: list[Source], frame: int) -> None:
    store = everything(open_cache("bytes", sources, ByteReader()))
    with pytest.raises(IndexError, match="videos of"):
        store.gather(np.array([1]), np.array([[frame]]))


def test_a_second_start_reads_no_file_at_all(sources: list[Source], hashed: list[str]) -> None:
    reader = ByteReader()
    open_cache("bytes", sources, reader)
    assert hashed == reader.reads == ["a", "b", "c"]
    open_cache("bytes", sources, reader)
    assert hashed == reader.reads == ["a", "b", "c"]


def test_touching_a_file_costs_a_hash_and_no_rebuild(sources: list[Source], hashed: list[str]) -> None:
    reader = ByteReader()
    first = open_cache("bytes", sources, reader)
    hashed.clear()
    os.utime(sources[1].path, ns=(1, 1))
    assert open_cache("bytes", sources, reader).folder == first.folder
    assert hashed == ["a", "b", "c"] and len(reader.reads) == 3


def test_a_copy_of_the_files_elsewhere_uses_the_same_cache(sources: list[Source], tmp_path: Path) -> None:
    first = open_cache("bytes", sources, ByteReader())
    copy = byte_files(tmp_path / "copy", **{source.name: source.path.read_bytes() for source in sources})
    reader = ByteReader()
    assert open_cache("bytes", copy, reader).folder == first.folder and not reader.reads


def test_new_content_is_noticed_though_size_and_time_stamp_are_the_old_ones(sources: list[Source]) -> None:
    first = open_cache("bytes", sources, ByteReader())
    stat = sources[1].path.stat()
    sources[1].path.write_bytes(bytes([10, 21]))
    os.utime(sources[1].path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = open_cache("bytes", sources, ByteReader())
    assert second.folder != first.folder
    assert everything(second).gather(np.array([1]), np.array([[1]])).max() == 21
    assert everything(first).gather(np.array([1]), np.array([[1]])).max() == 20  # still there for whoever reads it


def test_names_attributes_and_policy_are_part_of_the_identity(sources: list[Source], tmp_path: Path) -> None:
    renamed = [Source(s.path, s.name.upper(), s.attributes) for s in sources]
    other = [Source(s.path, s.name, {"category": 1}) for s in sources]
    sets = [(sources, {}), (renamed, {}), (other, {}), (sources, {"size": 1}), (sources, {"size": 2})]
    folders = [open_cache("bytes", s, ByteReader(**policy)).folder for s, policy in sets]
    assert len(set(folders)) == len(folders)


def test_rebuilding_gives_the_same_bytes(
    sources: list[Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = open_cache("bytes", sources, ByteReader())
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "other"))
    second = open_cache("bytes", sources, ByteReader())
    assert first.folder.name == second.folder.name and first.folder != second.folder
    for name in ("frames.u8", "index.npz", "manifest.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_the_digest_is_of_pixels_order_and_attributes_alone(sources: list[Source]) -> None:
    cache = open_cache("bytes", sources, ByteReader())
    same = open_cache("other name", sources, ByteReader(library="newer, with the same pixels"))
    marked = open_cache("bytes", [Source(s.path, s.name, {"category": 0}) for s in sources], ByteReader())
    digest = everything(cache).digest
    assert digest == everything(same).digest
    others = [everything(marked), cache.select(np.array([0, 1])), cache.select(np.array([2, 1, 0]))]
    assert len({digest, *(store.digest for store in others)}) == 4
    sources[0].path.write_bytes(bytes([1, 2, 4]))
    assert everything(open_cache("bytes", sources, ByteReader())).digest != digest


def test_a_store_is_pickled_without_its_frames(sources: list[Source]) -> None:
    store = everything(open_cache("bytes", sources, ByteReader()))
    videos, frames = np.array([2, 1]), np.array([[5, 6], [0, 1]])
    clips = store.gather(videos, frames)
    again = pickle.loads(pickle.dumps(store))
    assert vars(again)["_map"] is None
    np.testing.assert_array_equal(again.gather(videos, frames), clips)
    assert not vars(again)["_map"].flags.writeable


def test_what_cannot_be_used_is_left_out_and_listed(tmp_path: Path) -> None:
    sources = byte_files(tmp_path / "data", a=b"!", b=b"ok", c=b"?x", d=b"", e=b"fine")
    cache = open_cache("bytes", sources, ByteReader())
    assert (cache.names, cache.lengths.tolist(), cache.total) == (["b", "e"], [2, 4], 5)
    assert cache.skipped == [("a", "starts with !"), ("c", "starts with ?")] and cache.dropped == [("d", "no frames")]
    assert everything(cache).gather(np.array([1]), np.array([[0]])).max() == ord("f")
    manifest = json.loads((cache.folder / "manifest.json").read_text())
    assert [(s["name"], s["bytes"]) for s in manifest["sources"]] == [("a", 1), ("b", 2), ("c", 2), ("d", 0), ("e", 4)]
    assert len({s["blake2b"] for s in manifest["sources"]}) == 5


@pytest.mark.parametrize("contents", [{"a": b"!", "b": b""}, {"a": b"?", "b": b"?"}])
def test_a_set_without_a_usable_file_leaves_no_cache(
    tmp_path: Path, cache_folder: Path, contents: dict[str, bytes]
) -> None:
    with pytest.raises(BenchError, match=r"none of the files can be used:\n  a: starts with"):
        open_cache("bytes", byte_files(tmp_path / "data", **contents), ByteReader())
    assert left_in(cache_folder) == []


def test_a_file_that_could_not_be_read_is_tried_again(
    sources: list[Source], cache_folder: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[str]
) -> None:
    original = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "b":
            raise OSError(errno.EIO, "Input/output error")
        return original(self, *args, **kwargs)  # type: ignore[call-overload]

    with monkeypatch.context() as broken:
        broken.setattr(Path, "open", refuse)
        with pytest.raises(OSError, match="Input/output"):
            open_cache("bytes", sources, ByteReader())  # this reader passes the error on
    assert not (cache_folder / "known").exists()  # nothing is remembered of the broken reading
    hashed.clear()
    assert open_cache("bytes", sources, ByteReader()).names == ["a", "b", "c"]
    assert hashed == ["a", "b", "c"] and len(names_in(cache_folder / "known")) == 1


def test_a_cache_whose_folder_is_read_only_is_used_all_the_same(
    sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_cache("bytes", sources, ByteReader())
    os.utime(sources[0].path, ns=(1, 1))

    def refuse(path: Path, data: str | bytes) -> None:
        raise BenchError("Read-only file system")

    monkeypatch.setattr(content_module, "write_whole", refuse)
    assert open_cache("bytes", sources, ByteReader()).folder == first.folder


def test_a_small_disk_is_refused_before_anything_is_written(
    sources: list[Source], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = 55 * 2 * 4 * 3
    monkeypatch.setattr(cache_build, "free_bytes", lambda _: need - 1)
    reader = ByteReader()
    with pytest.raises(BenchError, match=r"3 videos needs 1\.3 kB, but .*cache has 1\.3 kB free; .*REELBENCH_CACHE"):
        open_cache("bytes", sources, reader)
    assert not reader.reads and left_in(cache_folder) == []
    monkeypatch.setattr(cache_build, "free_bytes", lambda _: need)
    open_cache("bytes", sources, reader)


def test_a_disk_that_fills_up_keeps_what_is_done(
    sources: list[Source], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(cache_journal.os, "fsync", refuse)
        full.setattr(cache_module, "Lease", _NoLease)
        message = r"cannot write .*: No space left on device; .* free there.*; 3 of 3 videos are done and kept"
        with pytest.raises(BenchError, match=message):
            open_cache("bytes", sources, ByteReader())
    assert [name for name in left_in(cache_folder) if ".building-" not in name] == []
    reader = ByteReader()
    cache = open_cache("bytes", sources, reader)
    assert not reader.reads and everything(cache).lengths.sum() == 55
    assert left_in(cache_folder) == [cache.folder.name]


class _NoLease:
    """Needs no disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def test_a_write_that_the_kernel_cuts_off_costs_one_video(tmp_path: Path, cache_folder: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from datamodules.cache import open_cache\n"
        "from datamodules.errors import BenchError\n"
        "from tests.datamodules.byte_reader import ByteReader, byte_files\n"
        "sources = byte_files(Path(sys.argv[1]), a=bytes(500), b=bytes(5000))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: open_cache('bytes', sources, ByteReader())\n"
        "except BenchError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout and "File too large" in done.stdout and "1 of 2 videos are done" in done.stdout
    reader = ByteReader()
    cache = open_cache("bytes", byte_files(tmp_path / "data", a=bytes(500), b=bytes(5000)), reader)
    assert reader.reads == ["b"] and cache.lengths.tolist() == [500, 5000]
    assert left_in(cache_folder) == [cache.folder.name]


def test_files_that_change_while_they_are_read_make_no_cache(sources: list[Source], cache_folder: Path) -> None:
    class Meddling(ByteReader):
        def read(self, path: Path) -> np.ndarray:
            sources[0].path.write_bytes(b"another")
            return super().read(path)

    with pytest.raises(BenchError, match="changed while they were read"):
        open_cache("bytes", sources, Meddling())
    assert left_in(cache_folder) == []


@pytest.mark.parametrize("damage", ["short frames", "no frames", "no manifest", "half a manifest", "another index"])
def test_a_damaged_cache_says_what_to_delete(sources: list[Source], damage: str) -> None:
    folder = open_cache("bytes", sources, ByteReader()).folder
    match damage:
        case "short frames":
            os.truncate(folder / "frames.u8", 1000)
        case "no frames":
            (folder / "frames.u8").unlink()
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "half a manifest":
            os.truncate(folder / "manifest.json", 100)
        case "another index":
            (folder / "index.npz").write_bytes((folder / "index.npz").read_bytes()[:-1] + b"x")
    with pytest.raises(BenchError, match=rf"the cache {folder} is damaged \(.*\)\. Delete this folder"):
        open_cache("bytes", sources, ByteReader())


def test_a_cache_of_other_content_under_this_name_is_not_read(sources: list[Source]) -> None:
    folder = open_cache("bytes", sources, ByteReader()).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "key": "0" * 32}))
    with pytest.raises(BenchError, match="of another cache"):
        open_cache("bytes", sources, ByteReader())


def test_a_reader_of_the_wrong_shape_is_a_mistake_of_the_code(sources: list[Source]) -> None:
    class Wrong(ByteReader):
        def read(self, path: Path) -> np.ndarray:
            return super().read(path)[:, :1]

    with pytest.raises(TypeError, match=r"Wrong gave video as uint8 \(3, 3, 1, 4\), not uint8 \('T', 3, 2, 4\)"):
        open_cache("bytes", sources, Wrong())


def test_the_root_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    assert cache_root() == cache_folder
    monkeypatch.delenv("REELBENCH_CACHE")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root() == Path("/home/someone/.cache/reelbench")
