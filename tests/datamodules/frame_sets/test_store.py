import pickle
from pathlib import Path

import numpy as np
import pytest

from datamodules.base import TrackStore
from datamodules.errors import BenchError
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import ColourMap, InstanceMap, LabelMap
from datamodules.frame_sets.reader import FrameReader
from datamodules.frame_sets.store import FileStore
from datamodules.generated import open_generated
from tests.datamodules.frame_files import instances, labels, noise, save

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


def test_clips_lie_as_a_batch_wants_them(tmp_path: Path) -> None:
    store = FileStore(sources(tmp_path), reader())
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


def test_a_whole_video_reads_as_its_frames_do(tmp_path: Path) -> None:
    video, read = sources(tmp_path)[0], reader((8, 16))
    tracks, clip = read.read_tracks(video), read.read(video)
    assert set(tracks) == KEYS - {"video"} == set(read.tracks)
    assert clip.shape == (5, *read.shape)
    for key, track in read.tracks.items():
        assert tracks[key].dtype == track.dtype and tracks[key].shape == (5, *track.shape)
        np.testing.assert_array_equal(tracks[key][2:4], read.read_tracks(video, 2, 4, [key])[key])
    np.testing.assert_array_equal(clip[2:4], read.read(video, 2, 4))


def test_a_cache_of_it_gives_the_same(tmp_path: Path) -> None:
    store = FileStore(sources(tmp_path), reader((8, 16)))
    cached = open_generated("frames", store, store.reader.tracks).select(np.arange(2))
    at = np.array([1, 0]), np.array([[0, 1, 2], [4, 3, 0]])
    expected, found = store.tracks(*at, KEYS), cached.tracks(*at, KEYS)
    for key in KEYS:
        np.testing.assert_array_equal(found[key], expected[key])
        assert found[key].dtype == expected[key].dtype
    assert cached.attributes["category"].tolist() == [0, 1]


def test_frames_are_read_once_while_they_fit(tmp_path: Path) -> None:
    videos = sources(tmp_path)
    at = np.zeros(2, np.int64), np.array([[0, 1], [2, 3]])
    one_frame = 16 * 32 * (3 + 1 + 4 + 3)
    large, small = FileStore(videos, reader()), FileStore(videos, reader(), keep=2 * one_frame)
    first = [store.tracks(*at, KEYS) for store in (large, small)]
    for files in videos[0].frames:
        files["picture"].unlink()
    np.testing.assert_array_equal(large.tracks(*at, KEYS)["video"], first[0]["video"])
    np.testing.assert_array_equal(small.gather(at[0][:1], at[1][1:]), first[1]["video"][1:].transpose(0, 2, 3, 4, 1))
    with pytest.raises(BenchError, match=r"v0, frame 0 .*0\.png: not a readable image: No such file"):
        small.gather(at[0][:1], at[1][:1])


def test_the_digest_is_of_content_and_policy(tmp_path: Path) -> None:
    here, there = sources(tmp_path / "a"), sources(tmp_path / "b")
    digest = FileStore(here, reader()).digest
    assert digest == FileStore(there, reader()).digest == FileStore(here, reader()).digest
    assert digest != FileStore(here, reader((8, 16))).digest
    assert digest != FileStore(here[:1], reader()).digest
    save(there[1].frames[2]["label"], labels(99))
    assert digest != FileStore(there, reader()).digest


def test_frames_beyond_a_video_are_not_read(tmp_path: Path) -> None:
    store = FileStore(sources(tmp_path), reader())
    for frame in (-1, 3):
        with pytest.raises(IndexError, match="frame numbers"):
            store.gather(np.array([1]), np.array([[frame]]))


def test_a_loader_worker_gets_a_copy(tmp_path: Path) -> None:
    store = FileStore(sources(tmp_path), reader((8, 16)))
    at = np.array([0]), np.array([[1]])
    first = store.gather(*at)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).gather(*at), first)
