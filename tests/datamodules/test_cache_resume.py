"""A build that was killed goes on where it was, and trusts only what is proved to be there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules import cache_journal
from datamodules.cache import open_cache
from datamodules.cache_build import PieceReader
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.store import Cache
from datamodules.video_reader import VideoReader
from tests.datamodules.byte_reader import ByteReader, byte_files
from tests.datamodules.listing import names_in


class Killed(ByteReader):
    """Is interrupted when it reads its `after`-th file, once."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def read(self, path: Path) -> np.ndarray:
        if len(self.reads) == self.after:
            self.after = -1
            raise KeyboardInterrupt
        return super().read(path)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    return byte_files(tmp_path / "data", a=b"one", b=b"", c=b"?", d=b"four", e=b"fifth")


def half(cache_folder: Path) -> Path:
    (found,) = [path for path in cache_folder.iterdir() if ".building-" in path.name]
    return found


def interrupted(sources: list[Source], after: int = 3) -> Killed:
    reader = Killed(after)
    with pytest.raises(KeyboardInterrupt):
        open_cache("bytes", sources, reader)
    return reader


def read_all(cache: Cache) -> list[bytes]:
    store = cache.select(np.arange(len(cache.names)))
    return [
        bytes(store.gather(np.array([row]), np.arange(length)[None])[0, :, 0, 0, 0])
        for row, length in enumerate(store.lengths)
    ]


def finished(sources: list[Source], cache_folder: Path, reads: list[str]) -> None:
    """The next start reads just `reads` and gives the cache that an unbroken build gives."""
    reader = ByteReader()
    cache = open_cache("bytes", sources, reader)
    assert reader.reads == reads
    assert read_all(cache) == [b"one", b"four", b"fifth"]
    assert (cache.skipped, cache.dropped) == ([("c", "starts with ?")], [("b", "no frames")])
    resumed = {name: (cache.folder / name).read_bytes() for name in names_in(cache.folder)}
    assert set(resumed) == {"frames.u8", "index.npz", "manifest.json"}
    shutil.rmtree(cache.folder)
    unbroken = open_cache("bytes", sources, ByteReader())
    assert resumed == {name: (unbroken.folder / name).read_bytes() for name in names_in(unbroken.folder)}


def test_what_is_done_is_not_read_again(
    sources: list[Source], cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert interrupted(sources).reads == ["a", "c", "d"]
    finished(sources, cache_folder, ["e"])
    assert "4 of 5 videos are done" in caplog.text


def test_frames_that_never_reached_the_disk_are_read_again(sources: list[Source], cache_folder: Path) -> None:
    interrupted(sources)
    frames = half(cache_folder) / "frames.u8"
    data = bytearray(frames.read_bytes())
    data[3 * 24 + 5] ^= 1  # in the second video
    frames.write_bytes(data)
    finished(sources, cache_folder, ["d", "e"])


def test_frames_that_are_missing_are_read_again(sources: list[Source], cache_folder: Path) -> None:
    interrupted(sources)
    frames = half(cache_folder) / "frames.u8"
    frames.write_bytes(frames.read_bytes()[:50])
    finished(sources, cache_folder, ["a", "c", "d", "e"])


@pytest.mark.parametrize(
    ("damage", "reads"),
    [
        ("half a line", ["d", "e"]),
        ("no journal", ["a", "c", "d", "e"]),
        ("of another cache", ["a", "c", "d", "e"]),
        ("another order", ["a", "c", "d", "e"]),
    ],
)
def test_a_journal_is_trusted_as_far_as_it_is_whole(
    sources: list[Source], cache_folder: Path, damage: str, reads: list[str]
) -> None:
    interrupted(sources)
    journal = half(cache_folder) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    match damage:
        case "half a line":
            journal.write_text("".join(lines)[:-5])
        case "no journal":
            journal.unlink()
        case "of another cache":
            journal.write_text(json.dumps({"key": "0" * 32}) + "\n" + "".join(lines[1:]))
        case "another order":
            journal.write_text("".join([lines[0], *lines[2:], lines[1]]))
    finished(sources, cache_folder, reads)


def test_a_video_that_was_half_written_leaves_nothing(sources: list[Source], cache_folder: Path) -> None:
    interrupted(sources)
    with (half(cache_folder) / "frames.u8").open("ab") as file:
        file.write(b"x" * 1000)
    finished(sources, cache_folder, ["e"])


def test_other_files_do_not_take_up_the_build(sources: list[Source], cache_folder: Path) -> None:
    interrupted(sources)
    sources[0].path.write_bytes(b"new")
    reader = ByteReader()
    assert read_all(open_cache("bytes", sources, reader))[0] == b"new"
    assert reader.reads == ["a", "c", "d", "e"] and half(cache_folder)  # the first build may still be gone on with


def test_a_builder_whose_build_was_taken_over_stops(sources: list[Source], cache_folder: Path) -> None:
    class Overtaken(ByteReader):
        def read(self, path: Path) -> np.ndarray:
            if path.name == "d":
                half(cache_folder).rename(cache_folder / "taken over")
            return super().read(path)

    with pytest.raises(BenchError, match="another process has taken this build over"):
        open_cache("bytes", sources, Overtaken())


def test_the_plan_comes_first(sources: list[Source], capsys: pytest.CaptureFixture[str]) -> None:
    class Told(ByteReader):
        def read(self, path: Path) -> np.ndarray:
            if not self.reads:
                self.plan = capsys.readouterr().err
            return super().read(path)

    reader = Told()
    open_cache("bytes", sources, reader)
    assert "4 videos, 1 files left out, about 13 frames, 312 B; " in reader.plan and reader.plan.endswith("GB free\n")
    assert capsys.readouterr().err == ""  # no bar where nobody watches


def test_a_reader_of_whole_files_gives_parts_too(tmp_path: Path) -> None:
    (source,) = byte_files(tmp_path / "data", a=b"abcdef")
    parts = [(0, 2), (2, None), (4, 9), (7, None)]
    sources = [Source(source.path, f"a{start}", {}, start, end) for start, end in parts]
    cache = open_cache("bytes", sources, ByteReader())
    assert read_all(cache) == [b"ab", b"cdef", b"ef"]
    assert cache.cut == [("a4", "frames 4:9 were asked for, but it has 6")]
    assert cache.skipped == [("a7", "has no frame from 7 on")]


def test_parts_have_identities_of_their_own(tmp_path: Path) -> None:
    (source,) = byte_files(tmp_path / "data", a=b"abcdef")
    folders = {
        open_cache("bytes", [Source(source.path, "a", {}, start, end)], ByteReader()).folder
        for start, end in [(0, None), (0, 3), (1, None), (1, 3)]
    }
    assert len(folders) == 4


def test_a_file_without_a_count_is_planned_for_as_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Blind(ByteReader):
        def count(self, path: Path) -> int:
            return 0

    cache = open_cache("bytes", byte_files(tmp_path / "data", a=b"one", b=b"two"), Blind())
    assert "about 0 frames, 0 B and more (2 files do not say how long they are)" in capsys.readouterr().err
    assert read_all(cache) == [b"one", b"two"]


def test_pieces_are_written_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (70, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", noise)
    written: list[int] = []
    original = cache_journal.Journal.write

    def spy(journal: cache_journal.Journal, frames: memoryview) -> None:
        written.append(len(frames) // (4 * 4 * 3))
        original(journal, frames)

    monkeypatch.setattr(cache_journal.Journal, "write", spy)
    reader = VideoReader(4, 4)
    assert isinstance(reader, PieceReader) and not isinstance(ByteReader(), PieceReader)
    cache = open_cache("noise", [Source(tmp_path / "a.npy", "a", {})], reader)
    assert written == [32, 32, 6]
    np.testing.assert_array_equal(cache.select(np.arange(1)).gather(np.array([0]), np.arange(70)[None])[0], noise)
