"""Poses in the cache of a folder of videos, by networks that see coloured blocks; real ones in pose/blazepose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import pose_track
from datamodules.errors import BenchError
from datamodules.folder import VideoFolder
from datamodules.media import write_lossless
from datamodules.pose.blazepose import body
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.skeletons import BODY_25
from datamodules.tracks import BETWEEN
from datamodules.video_reader import PIECE
from tests.datamodules.pose.blazepose.test_following import Detector, Points, film, walk

LONG = PIECE + 8
SMALL = 64  # frames of the data; persons are looked for at 256, the size of the files


@pytest.fixture(autouse=True)
def blocks_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PersonDetector", Detector)
    monkeypatch.setattr(body, "PersonPoints", Points)
    monkeypatch.setattr(pose_track, "_models", lambda: {"models": "blocks"})


def squares(*people: dict[int, tuple[int, int]], frames: int) -> np.ndarray:
    """`film` in 256x256 pixels."""
    return np.pad(film(*people, frames=frames), ((0, 0), (0, 136), (0, 56), (0, 0)))


FILMS = {
    "alone": squares(walk(30, 3, frames=range(LONG)), frames=LONG),
    "leaves": squares(walk(30, 3, frames=range(4, 9)), frames=12),
    "two": squares(walk(30, 3, 30, range(12)), walk(150, -3, 90, range(12)), frames=12),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, clip in FILMS.items():
        write_lossless(tmp_path / f"videos/{name}.mkv", clip)
    return tmp_path / "videos"


def folder(root: Path, **arguments: Any) -> VideoFolder:
    given: dict[str, Any] = {"labelled": False, "size": SMALL, "frames": 8, "val": 0.0, "test": 0.0}
    return VideoFolder(root=str(root), **(given | {"pose": "blazepose"} | arguments))


def test_batches_hold_the_poses_of_their_frames(root: Path) -> None:
    data = folder(root)
    assert data.gives(pose="blazepose", labelled=False) == {"video", "pose"} == {"video", *data.tracks}
    assert (data.skeleton, data.limbs) == ("body_25", BODY_25.limbs)
    store = data.store("train")
    for video, name in enumerate(FILMS):
        expected = BlazePose(persons=2).estimate(FILMS[name]).poses[:, :1]  # T 1 J 3, in the file's pixels
        there = expected[..., 2:] > 0
        half, quarter = np.array([0.5, 0.5, 0]), np.array([4, 4, 1])
        expected = np.where(there, (expected + half) / quarter - half, 0)
        length = len(FILMS[name])
        assert store.names[video] == f"{name}.mkv" and store.lengths[video] == length
        for start in (0, length - 8):  # the last clip of the long video lies across two pieces
            batch = data.batch("train", np.array([video]), start + np.arange(8)[None], np.array([0]))
            assert batch["pose"].shape == (1, 1, 8, 25, 3)
            np.testing.assert_allclose(batch["pose"][0, 0].numpy(), expected[start : start + 8, 0], atol=1e-4)


def test_the_frames_are_those_without_poses(root: Path) -> None:
    at = np.arange(3), np.tile(np.arange(8), (3, 1))
    with_poses, without = folder(root).store("train"), folder(root, pose=None).store("train")
    np.testing.assert_array_equal(with_poses.gather(*at), without.gather(*at))
    both = folder(root, flow="dis")
    batch = both.batch("train", *at, at[0])
    assert {"video", "pose", *BETWEEN} <= set(batch)
    np.testing.assert_array_equal(batch["pose"].numpy(), folder(root).batch("train", *at, at[0])["pose"].numpy())
    np.testing.assert_array_equal(
        batch["flow"].numpy(), folder(root, pose=None, flow="dis").batch("train", *at, at[0])["flow"].numpy()
    )


def test_the_build_says_who_was_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = folder(root).cache()
    said = capsys.readouterr().err
    frames = LONG + 24
    assert f"poses: nobody in 7 of {frames} frames, more than 1 in 12, 1 times someone left or was lost" in said
    left = "frames 0-3: no person; frames 4-8: 1 person (1 entered); frames 9-11: no person (1 left)"
    assert f"  leaves.mkv: {left}\n" in said and "  two.mkv: frames 0-11: 2 persons\n" in said
    assert "alone.mkv" not in said
    kept = {s["name"]: s["found"] for s in json.loads((cache.folder / "manifest.json").read_text())["sources"]}
    assert kept["alone.mkv"]["told"] == [f"frames 0-{LONG - 1}: 1 person"]
    assert kept["leaves.mkv"] == {
        "frames": 12, "nobody": 7, "more": 0, "left": 1, "told": left.split("; "),
    }  # fmt: skip
    folder(root).cache()
    assert "poses:" not in capsys.readouterr().err  # nothing is estimated again


def test_two_persons_are_kept_where_two_are_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(root, persons=2)
    batch = data.batch("train", np.array([2]), np.arange(8)[None], np.array([0]))
    nose = batch["pose"][0, :, :, BODY_25.index("nose"), 0].numpy() * 4 + 1.5
    np.testing.assert_allclose(nose, [30 + 3 * np.arange(8), 150 - 3 * np.arange(8)], atol=0.6)
    assert "more than 2 in 0" in capsys.readouterr().err


def test_what_decides_the_poses_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = [folder(tmp_path, persons=persons).estimating_reader().policy for persons in (1, 2)]
    assert policies[0]["pose"] == {"persons": 1, "side": 256, "models": "blocks"} != policies[1]["pose"]
    assert folder(tmp_path, pose=None).estimating_reader().policy == {
        key: value for key, value in policies[0].items() if key != "pose"
    }
    monkeypatch.undo()
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("REELBENCH_POSE_MODELS", str(models))
    with pytest.raises(BenchError, match=r"pose_detection\.tflite is missing, found no \*\.tflite"):
        folder(tmp_path).estimating_reader()
    digests = []
    for content in (b"a", b"b"):
        for name in ("pose_detection.tflite", "pose_landmark_full.tflite"):
            (models / name).write_bytes(content)
        digests.append(folder(tmp_path).estimating_reader().policy["pose"]["models"])
    assert digests[0] != digests[1]


def test_other_estimators_and_no_persons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"data\.init_args\.pose must be blazepose or null, found 'openpose'"):
        folder(tmp_path, pose="openpose")
    with pytest.raises(BenchError, match=r"data\.init_args\.persons must be at least 1, found 0"):
        folder(tmp_path, persons=0)
