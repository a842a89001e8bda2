import logging
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.bad_files import OnError
from datamodules.base import TrackStore
from datamodules.errors import BenchError
from datamodules.frame_sets.cached import FrameFiles, frame_cache, frame_store, usable
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import ColourMap, InstanceMap, LabelMap
from datamodules.frame_sets.reader import FrameReader
from datamodules.store import CachedStore
from datamodules.tracks import in_batch
from tests.datamodules.frame_files import instances, labels, noise, save
from tests.datamodules.listing import names_in
from tests.datamodules.processes import running, until

LENGTHS = (5, 3)
KEYS = frozenset({"video", "labels", "instances", "condition"})


def sources(root: Path) -> list[FrameSource]:
    out = []
    for v, length in enumerate(LENGTHS):
        frames = []
        for t in range(length):
            seed = 10 * v + t
            frames.append(
                {
                    "picture": save(root / f"img/{v}/{t}.png", noise(seed)),
                    "label": save(root / f"label/{v}/{t}.png", labels(seed)),
                    "instance": save(root / f"inst/{v}/{t}.png", instances(labels(seed))),
                    "condition": save(root / f"a/{v}/{t}.png", noise(seed + 100)),
                }
            )
        out.append(FrameSource(f"v{v}", [str(t) for t in range(length)], frames, {"category": v}))
    return out


def reader(size: tuple[int, int] = (16, 32)) -> FrameReader:
    return FrameReader(*size, [LabelMap(35), InstanceMap(), ColourMap()])


def opened(videos: list[FrameSource], read: FrameReader, on_error: OnError = "raise") -> CachedStore:
    cache = frame_cache("set", FrameFiles(videos, read))
    return frame_store(cache, videos, usable(cache, videos, on_error))


def uncached(videos: list[FrameSource], read: FrameReader, which: np.ndarray, frames: np.ndarray) -> dict[str, Any]:
    """What the reader makes of the files, in the layout of a batch."""
    known = [[read.frame(videos[v], t) for t in row] for v, row in zip(which, frames.tolist(), strict=True)]
    rows = {key: np.stack([np.stack([frame[key] for frame in clip]) for clip in known]) for key in known[0][0]}
    return {"video": rows.pop("video").transpose(0, 4, 1, 2, 3)} | {k: in_batch(k, v) for k, v in rows.items()}


def test_clips_are_what_the_files_hold(tmp_path: Path) -> None:
    store = opened(sources(tmp_path), reader())
    of_the_contract: TrackStore = store
    assert of_the_contract is store
    assert store.lengths.tolist() == [5, 3] and store.names == ["v0", "v1"]
    assert store.attributes["category"].tolist() == [0, 1]
    videos, frames = np.array([1, 0]), np.array([[0, 2], [4, 1]])
    clips = store.tracks(videos, frames, KEYS)
    np.testing.assert_array_equal(store.gather(videos, frames).transpose(0, 4, 1, 2, 3), clips["video"])
    for b, (v, row) in enumerate(zip(videos, frames, strict=True)):
        for t, frame in enumerate(row):
            seed = 10 * v + frame
            np.testing.assert_array_equal(clips["video"][b, :, t], noise(seed).transpose(2, 0, 1))
            np.testing.assert_array_equal(clips["labels"][b, t], labels(seed))
            np.testing.assert_array_equal(clips["instances"][b, t], instances(labels(seed)))
            np.testing.assert_array_equal(clips["condition"][b, :, t], noise(seed + 100).transpose(2, 0, 1))


def test_cached_batches_equal_uncached_ones(tmp_path: Path) -> None:
    videos, read = sources(tmp_path), reader((8, 24))
    at = np.array([1, 0]), np.array([[0, 1, 2], [4, 3, 0]])
    expected, found = uncached(videos, read, *at), opened(videos, read).tracks(*at, KEYS)
    assert set(found) == set(expected) == KEYS
    for key in KEYS:
        np.testing.assert_array_equal(found[key], expected[key])
        assert found[key].dtype == expected[key].dtype


def test_no_file_is_read_again(tmp_path: Path) -> None:
    videos = sources(tmp_path)
    store = opened(videos, reader())
    before = store.gather(np.array([0]), np.array([[0, 4]]))
    for frame in videos[0].frames:
        for path in frame.values():
            path.unlink()
    np.testing.assert_array_equal(store.gather(np.array([0]), np.array([[0, 4]])), before)


def test_the_digest_is_of_what_is_seen(tmp_path: Path) -> None:
    here, there = sources(tmp_path / "a"), sources(tmp_path / "b")
    digest = opened(here, reader()).digest
    assert digest == opened(there, reader()).digest
    assert digest != opened(here, reader((8, 16))).digest
    assert digest != opened(here[:1], reader()).digest
    joined = FrameSource("v0", [*"01234", *"567"], [*here[0].frames, *here[1].frames], {"category": 0})
    apart = [FrameSource(v.name, v.stems, v.frames, {"category": 0}) for v in here]
    assert opened([joined], reader()).digest != opened(apart, reader()).digest  # the same frames, other videos
    save(there[1].frames[2]["label"], labels(99))
    assert digest != opened(there, reader()).digest


def test_a_changed_map_is_another_cache(tmp_path: Path, cache_folder: Path) -> None:
    videos = sources(tmp_path)
    opened(videos, reader())
    path = videos[1].frames[2]["label"]
    save(path, labels(99))
    os.utime(path, (0, 0))
    store = opened(videos, reader())
    np.testing.assert_array_equal(
        store.tracks(np.array([1]), np.array([[2]]), frozenset({"labels"}))["labels"][0, 0], labels(99)
    )
    assert len([name for name in names_in(cache_folder) if name.startswith("set-")]) == 2


def test_a_broken_frame_parts_or_ends_its_video(tmp_path: Path) -> None:
    videos = sources(tmp_path)
    videos[0].frames[2]["label"].write_bytes(b"no picture")
    cache = frame_cache("set", FrameFiles(videos, reader()))
    ((name, reason),) = cache.skipped
    assert name == "v0/2" and reason == f"{tmp_path / 'label/0/2.png'}: not an image that Pillow knows (10 bytes)"
    assert cache.total == 8
    skipped = opened(videos, reader(), "skip")
    assert skipped.names == ["v0/0", "v0/3", "v1"] and skipped.lengths.tolist() == [2, 2, 3]
    clips = skipped.gather(np.array([0, 1, 2]), np.array([[0, 1]] * 3))
    for clip, (first, second) in zip(clips, ((0, 1), (3, 4), (10, 11)), strict=True):
        np.testing.assert_array_equal(clip, np.stack([noise(first), noise(second)]))
    cut = opened(videos, reader(), "truncate")
    assert cut.names == ["v0", "v1"] and cut.lengths.tolist() == [2, 3]
    np.testing.assert_array_equal(cut.gather(np.array([0]), np.array([[0, 1]]))[0, 1], noise(1))
    assert skipped.digest != cut.digest


def test_a_video_whose_only_frame_is_broken_is_gone(tmp_path: Path) -> None:
    good, bad = (
        FrameSource(name, ("0",), ({"picture": save(tmp_path / f"{name}.png", noise(0))},), {}) for name in "ab"
    )
    bad.frames[0]["picture"].write_bytes(b"")
    cache = frame_cache("set", FrameFiles([good, bad], FrameReader(16, 32)))
    assert [name for name, _ in cache.skipped] == ["b"]
    policies: tuple[OnError, ...] = ("skip", "truncate")
    for policy in policies:
        assert [video.name for video in usable(cache, [good, bad], policy)] == ["a"]


def test_frames_beyond_a_video_are_not_read(tmp_path: Path) -> None:
    store = opened(sources(tmp_path), reader())
    for frame in (-1, 3):
        with pytest.raises(IndexError, match="frame numbers"):
            store.gather(np.array([1]), np.array([[frame]]))


def test_a_loader_worker_gets_a_copy(tmp_path: Path) -> None:
    store = opened(sources(tmp_path), reader((8, 16)))
    at = np.array([0]), np.array([[1]])
    first = store.gather(*at)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).gather(*at), first)


def test_the_plan_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened(sources(tmp_path), reader())
    said = capsys.readouterr().err
    assert "building the cache" in said and ": 8 frames, 45.1 kB; " in said and "videos" not in said


# Builds the cache of one video; notes each frame it decodes, which takes it some time.
BUILDER = """
import sys, time
from pathlib import Path
from datamodules.frame_sets.cached import FrameFiles, frame_cache
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.reader import FrameReader

class Slow(FrameReader):
    def frame(self, source, frame):
        with open(sys.argv[2], "a") as log:
            log.write(source.stems[frame])
        time.sleep(float(sys.argv[3]))
        return super().frame(source, frame)

paths = sorted(Path(sys.argv[1]).iterdir())
video = FrameSource("v", [p.stem for p in paths], [{"picture": p} for p in paths], {})
cache = frame_cache("set", FrameFiles([video], Slow(16, 32)))
print(cache.folder, cache.lengths.sum(), flush=True)
"""


def one_video(folder: Path) -> FrameSource:
    paths = [save(folder / f"{t}.png", noise(t)) for t in range(4)]
    return FrameSource("v", [path.stem for path in paths], [{"picture": path} for path in paths], {})


def test_a_killed_build_goes_on_within_a_video(
    tmp_path: Path, cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video, log = one_video(tmp_path / "data"), tmp_path / "reads"
    with running(BUILDER, tmp_path / "data", log, 2) as (builder,):
        until(lambda: log.exists() and log.read_text() == "012")
        builder.send_signal(signal.SIGKILL)
        builder.wait()
    with caplog.at_level(logging.WARNING):
        store = opened([video], FrameReader(16, 32))
    assert "2 of 4 frames are done" in caplog.text
    np.testing.assert_array_equal(
        store.gather(np.array([0]), np.arange(4)[None])[0], np.stack([noise(t) for t in range(4)])
    )
    assert not [name for name in names_in(cache_folder) if ".building-" in name]


def test_of_two_processes_one_decodes(tmp_path: Path) -> None:
    one_video(tmp_path / "data")
    log = tmp_path / "reads"
    with running(BUILDER, tmp_path / "data", log, 0.3, count=2) as builders:
        outputs = [builder.communicate(timeout=60) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], outputs
    assert log.read_text() == "0123" and outputs[0][0] == outputs[1][0]


def test_no_frame_at_all(tmp_path: Path) -> None:
    video = one_video(tmp_path)
    for frame in video.frames:
        frame["picture"].write_bytes(b"?")
    with pytest.raises(BenchError, match=r"none of the files can be used:\n  v/0: .*/0\.png: not an image"):
        frame_cache("set", FrameFiles([video], FrameReader(16, 32)))
