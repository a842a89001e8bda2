"""What was read is not read again: after a kill, a rename, for another metric; and never stands for other clips."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from datamodules.reading.arrays import ArrayFile
from datamodules.video_reader import Reading, VideoReader
from experiments.score import decoding, digests
from experiments.score.clips import Facts
from experiments.score.rows import Shelf
from metrics.features.random import RandomFeatures
from tests.experiments.score_files import clip, entries, entries_and_words, refused, two_folders, write
from tests.experiments.score_files import own_cache as own_cache

ROOT = Path(__file__).parents[2]
WORDS = ("--metrics", "ssim,frechet_random")
# Ends as kill -9 ends it, in the middle of the third pair.
KILLED = """
import os, signal, sys
from experiments import cli
from experiments.score.measuring import Column

whole, calls = Column.rows, []

def rows(self, *clips):
    calls.append(1)
    if len(calls) == 8:  # three rows a pair: both sides described, then compared
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *clips)

Column.rows = rows
cli.main(sys.argv[1:])
"""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []
    whole = VideoReader.open

    def spy(self: VideoReader, path: Path, start: int = 0, end: int | None = None) -> Reading:
        names.append(f"{path.parent.name}/{path.name}")
        return whole(self, path, start, end)

    monkeypatch.setattr(VideoReader, "open", spy)
    return names


def test_killed_and_started_again(
    tmp_path: Path, opened: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = two_folders(tmp_path, 5, ".mkv")
    command = [sys.executable, "-c", KILLED, "score", str(real), str(fake), *WORDS, "--threads", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL and not done.stdout, done.stderr
    found, told = entries_and_words(capsys, real, fake, *WORDS)
    assert told == "reelbench: 4 of 10 videos were read before\n"
    assert sorted(opened) == [f"{side}/00{n}.mkv" for side in ("fake", "real") for n in (2, 3, 4)]
    opened.clear()

    def hashed(path: Path) -> str:
        raise AssertionError(f"{path} is read once more")

    with monkeypatch.context() as patched:
        patched.setattr(digests, "file_digest", hashed)
        assert entries(capsys, real, fake, *WORDS) == found and opened == []
    unbroken = entries(capsys, real, fake, *WORDS, "--cache", tmp_path / "other")
    assert unbroken == found and len(opened) == 10 + 1  # the first once more, for its size


def test_only_what_is_new_is_read(tmp_path: Path, opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    before = entries(capsys, real, fake, *WORDS)
    opened.clear()
    (fake / "002.npy").rename(fake / "renamed.npy")
    assert entries(capsys, real, fake, *WORDS)["frechet[random]"] == before["frechet[random]"] and opened == []
    write(fake, {"renamed.npy": clip(55)})
    changed = entries(capsys, real, fake, *WORDS)
    assert opened == ["fake/renamed.npy"]
    assert changed["frechet[random]"]["value"] != before["frechet[random]"]["value"]
    opened.clear()
    entries(capsys, real, fake, "--metrics", "psnr,frechet_random,ssim")  # two pairs are left
    assert sorted(opened) == ["fake/000.npy", "fake/001.npy", "real/000.npy", "real/001.npy"]
    opened.clear()
    entries(capsys, real, fake, *WORDS, "--no-cache")
    assert sorted(set(opened)) == [f"fake/{n}.npy" for n in ("000", "001", "renamed")] + [
        f"real/00{n}.npy" for n in range(3)
    ]


@pytest.mark.parametrize(
    "words", [["--frames=12"], ["--size=12"], ["--stride=2", "--frames=4"], ["--fit=crop"], ["--context=3"]]
)
def test_other_clips_are_never_taken_for_these(
    words: list[str], tmp_path: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = two_folders(tmp_path, 2)
    entries(capsys, real, fake, *WORDS)
    opened.clear()
    found = entries(capsys, real, fake, *WORDS, *words)
    assert len(opened) == 4
    assert found == entries(capsys, real, fake, *WORDS, *words, "--no-cache")


def test_a_skipped_video_is_looked_at_once(tmp_path: Path, opened: list[str], capsys: Any) -> None:
    real, fake = two_folders(tmp_path, 3)
    (fake / "001.npy").write_bytes(b"broken")
    before = entries(capsys, real, fake, *WORDS)
    opened.clear()
    assert entries(capsys, real, fake, *WORDS) == before and opened == []
    assert before["ssim"]["skipped"][0]["file"] == "001.npy"


def test_a_video_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = two_folders(tmp_path, 3)
    whole = RandomFeatures.features

    def features(self: RandomFeatures, clips: torch.Tensor) -> torch.Tensor:
        if (clips[0, :, 0].cpu() == torch.from_numpy(clip(101)[0]).permute(2, 0, 1)).all():
            write(fake, {"001.npy": clip(77)})
        return whole(self, clips)

    monkeypatch.setattr(RandomFeatures, "features", features)
    found = entries(capsys, real, fake, "--metrics", "frechet_random")["frechet[random]"]
    assert found["n_fake"] == 2
    assert found["skipped"] == [
        {"side": "fake", "file": "001.npy", "reason": "changed while it was read; score it again when it is complete"}
    ]


def test_a_network_sees_a_clip_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For all metrics that describe clips by it."""
    real, fake = two_folders(tmp_path, 3)
    whole, seen = RandomFeatures.features, []

    def features(self: RandomFeatures, clips: torch.Tensor) -> torch.Tensor:
        seen.append(len(clips))
        return whole(self, clips)

    monkeypatch.setattr(RandomFeatures, "features", features)
    file = tmp_path / "two.yaml"
    extractor = "{class_path: metrics.features.random.RandomFeatures}"
    metric = f"{{class_path: metrics.frechet.FrechetDistance, init_args: {{extractor: {extractor}, ddof: %d}}}}"
    file.write_text(
        f"evaluate: {{metrics: {{'frechet[random]': {metric % 1}, 'frechet[random]_0': {metric % 0}}}}}",
        encoding="utf-8",
    )
    found = entries(capsys, real, fake, "--protocol", file)
    assert sum(seen) == 6
    # By another ddof alone; other frames of a clip are other rows.
    assert found["frechet[random]"]["value"] != found["frechet[random]_0"]["value"]


def test_rows_of_other_frames_are_not_shared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    extractor = "{class_path: metrics.features.random.RandomFeatures, init_args: {level: frame}}"
    metric = (
        f"{{class_path: metrics.frechet.FrechetDistance, init_args: {{extractor: {extractor}, frames_per_clip: %s}}}}"
    )
    name = "frechet_frame[random]"
    (tmp_path / "two.yaml").write_text(
        f"evaluate: {{metrics: {{'{name}': {metric % 'null'}, '{name}_2': {metric % 2}}}}}", encoding="utf-8"
    )
    found = entries(capsys, real, fake, "--protocol", tmp_path / "two.yaml")
    assert (found[name]["note"], found[f"{name}_2"]["note"]) == (
        "fewer than 128 dims: 48 frames",
        "fewer than 128 dims: 6 frames",
    )


def test_a_torn_entry_counts_as_absent(tmp_path: Path) -> None:
    rows = torch.arange(12, dtype=torch.float32).reshape(2, 3, 2)
    with Shelf(tmp_path, {"a": 1}) as shelf:
        shelf.add("one", {"x": [1]}, rows)
        shelf.add("two", {}, rows + 1)
        shelf.add("none", {"skipped": "why"})
    (file,) = shelf.folder.glob("*.rows")
    whole = file.read_bytes()
    again = Shelf(tmp_path, {"a": 1})
    assert torch.equal(again.rows("two"), rows + 1) and again.facts("one") == {"x": [1]}
    assert again.facts("none") == {"skipped": "why"} and again.facts("other") is None
    assert "one" not in Shelf(tmp_path, {"a": 2})
    start = whole.index(b'{"key": "two"') - 9
    for length in range(start, len(whole) - 1):  # without its line's end alone the last entry is whole
        file.write_bytes(whole[:length])
        left = Shelf(tmp_path, {"a": 1})
        assert torch.equal(left.rows("one"), rows) and "none" not in left
        assert "two" not in left or torch.equal(left.rows("two"), rows + 1)
    for at in range(start + 60, len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        left = Shelf(tmp_path, {"a": 1})
        assert torch.equal(left.rows("one"), rows)
        assert "two" not in left or torch.equal(left.rows("two"), rows + 1)
    file.write_bytes(whole[:-3])
    with Shelf(tmp_path, {"a": 1}) as more:  # another process writes beside it
        more.add("none", {})
    assert "none" in Shelf(tmp_path, {"a": 1}) and len(list(shelf.folder.glob("*.rows"))) == 2


def test_a_disk_that_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2)
    (tmp_path / "file").write_text("")
    assert "is a file; expected a folder" in refused(capsys, real, fake, *WORDS, "--cache", tmp_path / "file")
    with pytest.raises(BenchError, match="cannot write"):
        Shelf(tmp_path / "file", {})


class Five:
    """A reading of five parts that counts what it made."""

    def __init__(self, made: list[int]) -> None:
        self.made = made
        self.facts = Facts(clips=5)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for _ in range(5):
            self.made.append(1)
            yield torch.zeros(1)


def test_few_clips_are_in_memory_however_many_there_are() -> None:
    made: list[int] = []
    opened: list[Path] = []
    used = videos = 0

    def read(path: Path) -> Any:
        opened.append(path)
        return Five(made)

    with decoding.Decoder(read, threads=2) as decoder:
        for streams in decoder.streams([[Path("a"), Path("b")] for _ in range(50)]):
            assert len(opened) - videos <= 4
            videos += 2
            for parts in zip(*streams, strict=True):
                used += len(parts)
                # At most 4 videos are begun, each with two parts waiting and one in hand.
                assert len(made) - used <= 4 * 3
    assert used == len(made) == 50 * 2 * 5


def test_an_error_in_a_thread_ends_the_run_and_its_threads() -> None:
    class Bad(Five):
        def __iter__(self) -> Iterator[torch.Tensor]:
            yield torch.zeros(1)
            raise MemoryError("no room")

    def use() -> None:
        with decoding.Decoder(lambda path: Bad([]), threads=2) as decoder:  # type: ignore[arg-type, return-value]
            for streams in decoder.streams([[Path("a")] for _ in range(20)]):
                for _ in streams[0]:
                    pass

    with pytest.raises(MemoryError, match="no room"):
        use()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_headers_of_arrays_are_parsed_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 has a SystemError for two threads that parse at once."""
    write(tmp_path, {"a.npy": clip(0)})
    whole, inside, second = np.load, threading.Lock(), threading.Event()

    def load(*args: Any, **kwargs: Any) -> Any:
        if not inside.acquire(blocking=False):
            second.set()
            raise AssertionError("two threads at once")
        try:
            second.wait(0.1)  # time for another thread to come in
            return whole(*args, **kwargs)
        finally:
            inside.release()

    monkeypatch.setattr(np, "load", load)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ArrayFile(tmp_path / "a.npy"), range(4)))


def test_numbers_do_not_depend_on_threads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 6)
    runs = [entries(capsys, real, fake, *WORDS, "--no-cache", "--threads", n) for n in (1, 2, 7)]
    assert runs[0] == runs[1] == runs[2]
