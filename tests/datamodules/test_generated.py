"""A generator's cache gives back what the generator gave."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from datamodules.cache_verify import damaged_videos
from datamodules.errors import BenchError
from datamodules.generated import AHEAD, open_generated
from datamodules.tracks import Track
from tests.datamodules.tracked import TrackedStore

LENGTHS = np.array([5, 12, 4, 9])
TRACKS = {"pose": Track("float32", (1, 1, 3)), "labels": Track("uint8", (2, 3)), "flow": Track("int16", (2, 2, 3))}
KEYS = frozenset({"video", *TRACKS})
VIDEOS, FRAMES = np.array([3, 0, 1]), np.array([[5, 6, 7], [0, 1, 2], [9, 10, 11]])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path))


def test_clips_come_back_with_their_tracks() -> None:
    generator = TrackedStore(LENGTHS)
    cache = open_generated("tracked", generator, TRACKS)
    store = pickle.loads(pickle.dumps(cache.select(np.arange(4))))  # as a loader worker gets it
    wanted, found = generator.tracks(VIDEOS, FRAMES, KEYS), store.tracks(VIDEOS, FRAMES, KEYS)
    assert found.keys() == KEYS and found["flow"].dtype == np.int16
    for key in KEYS - {"flow"}:
        assert found[key].dtype == wanted[key].dtype and np.array_equal(found[key], wanted[key]), key
    assert np.array_equal(found["flow"], wanted["flow"] * 32)
    assert np.array_equal(store.gather(VIDEOS, FRAMES), generator.gather(VIDEOS, FRAMES))
    assert store.names == generator.names and np.array_equal(store.attributes["category"], [0, 1, 0, 1])
    assert not damaged_videos(cache)


@pytest.mark.parametrize("lengths", [[3] * 50, [1] * 70 + [2] * 5, [200, 200, 7]])
def test_short_videos_are_drawn_many_at_once(lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    generator = TrackedStore(np.array(lengths))
    calls: list[int] = []
    tracks = generator.tracks

    def counted(videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        calls.append(frames.size)
        return tracks(videos, frames, keys)

    monkeypatch.setattr(generator, "tracks", counted)
    store = open_generated("tracked", generator, TRACKS).select(np.arange(len(lengths)))
    assert sum(calls) == sum(lengths) and max(calls) <= max(AHEAD, *lengths)
    assert len(calls) <= max(3, 2 * sum(lengths) // AHEAD + 1)
    for video in (0, 1, len(lengths) // 2, len(lengths) - 1):
        frames = np.arange(lengths[video])[None]
        wanted, found = (
            s.tracks(np.array([video]), frames, KEYS - {"flow"}) for s in (TrackedStore(np.array(lengths)), store)
        )
        assert all(np.array_equal(found[key], wanted[key]) for key in wanted), video


def test_it_is_rendered_once() -> None:
    open_generated("tracked", TrackedStore(LENGTHS), TRACKS)
    generator = TrackedStore(LENGTHS)
    generator.tracks = None  # type: ignore[assignment]
    assert open_generated("tracked", generator, TRACKS).lengths.tolist() == LENGTHS.tolist()


def test_other_tracks_and_another_generator_have_caches_of_their_own() -> None:
    first = open_generated("tracked", TrackedStore(LENGTHS), TRACKS)
    fewer = open_generated("tracked", TrackedStore(LENGTHS), {"pose": TRACKS["pose"]})
    other = TrackedStore(LENGTHS)
    other.digest = "other"
    assert len({first.folder, fewer.folder, open_generated("tracked", other, TRACKS).folder}) == 3
    assert (fewer.folder / "frames.u8").stat().st_size == LENGTHS.sum() * (18 + 12)
    rows = np.arange(4)
    assert first.select(rows).digest != fewer.select(rows).digest


def test_flow_between_frames_that_do_not_follow_each_other_is_refused() -> None:
    store = open_generated("tracked", TrackedStore(LENGTHS), TRACKS).select(np.arange(4))
    with pytest.raises(BenchError, match=r"flow: .* every 2-th; set data\.init_args\.stride to 1"):
        store.tracks(np.array([1]), np.array([[0, 2, 4]]), frozenset({"flow"}))
    assert store.tracks(np.array([1]), np.array([[0, 2, 4]]), frozenset({"pose"}))["pose"].shape == (1, 1, 3, 1, 3)


def test_what_a_generator_does_not_promise_is_a_mistake_of_the_code() -> None:
    with pytest.raises(TypeError, match=r"gave labels as uint8 .*, not uint8"):
        open_generated("tracked", TrackedStore(LENGTHS), {"labels": Track("uint8", (5, 5))})
    with pytest.raises(TypeError, match="Cannot cast"):
        open_generated("tracked", TrackedStore(LENGTHS), {"pose": Track("uint8", (1, 1, 3))})


def test_a_damaged_track_is_found() -> None:
    cache = open_generated("tracked", TrackedStore(LENGTHS), TRACKS)
    path = cache.folder / "frames.u8"
    raw = bytearray(path.read_bytes())
    raw[6 * cache.record.itemsize + 20] ^= 1
    path.write_bytes(raw)
    assert [name for name, _ in damaged_videos(cache)] == ["v1"]
    manifest = json.loads((cache.folder / "manifest.json").read_text())
    assert manifest["tracks"]["flow"] == ["int16", [2, 2, 3]]
