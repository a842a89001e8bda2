import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from datamodules.everybody_dance import EverybodyDance
from datamodules.pose.opencv_yaml import write_yaml
from datamodules.pose.people import People
from datamodules.pose.skeletons import BODY_25
from tests.datamodules.frame_files import body, flat, noise, save, save_openpose

NUMBERS = (1, 5, 9, 17, 21)  # every fourth frame; 13 was left out


def frames(root: Path, phase: str = "train", numbers: tuple[int, ...] = NUMBERS) -> Path:
    """Frames of 64 x 32 whose grey level is their number; faces as if they had 1024 x 512."""
    for n in numbers:
        save(root / f"{phase}_img/frame{n:06}.png", flat(n, 32, 64))
        save(root / f"{phase}_label/frame{n:06}.png", noise(n, 32, 64))
        face = root / f"{phase}_facetexts128/frame{n:06}.txt"
        face.parent.mkdir(parents=True, exist_ok=True)
        face.write_text(f"{n} {n + 128} {2 * n} {2 * n + 128}")
    return root


def data(root: Path, **arguments: Any) -> EverybodyDance:
    return EverybodyDance(**{"root": str(root), "size": (16, 32), "val": "train", "test": "train", **arguments})


def test_pairs_are_of_frames_that_follow_one_another(tmp_path: Path) -> None:
    sets = data(frames(tmp_path))
    store = sets.store("train")
    assert store.lengths.tolist() == [3, 2]
    pairs = set()
    for seed in range(20):
        batch = sets.eval_batch("train", [0, 1], 2, 1, seed)
        pairs |= {tuple(clip[0, :, 0, 0].tolist()) for clip in batch["video"]}
    assert pairs == {(1, 5), (5, 9), (17, 21)}  # the official code would also pair 9 and 17
    with pytest.raises(BenchError, match="follow one another"):
        data(tmp_path, step=1).store("train")


def test_what_a_frame_carries(tmp_path: Path) -> None:
    sets = data(frames(tmp_path), size=(32, 64))
    assert sets.gives() == {"video", "condition", "face_box"}
    batch = sets.batch("train", np.array([0, 1]), np.array([[0, 1], [0, 1]]), np.array([0, 1]))
    assert batch["condition"].shape == (2, 3, 2, 32, 64) and batch["face_box"].dtype == torch.float32
    for b, clip in enumerate(((1, 5), (17, 21))):
        for t, n in enumerate(clip):
            np.testing.assert_array_equal(batch["condition"][b, :, t].permute(1, 2, 0), noise(n, 32, 64))
            scaled = np.array([n, n + 128, 2 * n, 2 * n + 128]) / 16
            np.testing.assert_allclose(batch["face_box"][b, t], scaled)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3", "expected four whole numbers: miny maxy minx maxx"),
        ("0 128 960 1088", "box 0 128 960 1088 does not lie in 1024x512 pixels"),
        ("139 11 504 632", "box 139 11 504 632 does not lie in"),
    ],
)
def test_broken_boxes_are_named(tmp_path: Path, text: str, reason: str) -> None:
    root = frames(tmp_path)
    (root / "train_facetexts128/frame000005.txt").write_text(text)
    with pytest.raises(BenchError, match=rf"train/frame000001/frame000005: .*frame000005\.txt: .*{reason}"):
        data(root).batch("train", np.array([0]), np.array([[0, 1]]), np.array([0]))
    (root / "train_facetexts128/frame000005.txt").unlink()
    with pytest.raises(BenchError, match=r"train/frame000005: has no face \(train_facetexts128\)"):
        data(root).store("train")
    assert "face_box" not in data(root, faces=False).eval_batch("train", [0], 2, 1, 0)


def test_key_points_of_the_original_frames_are_squashed_with_them(tmp_path: Path) -> None:
    root = frames(tmp_path)
    for n in NUMBERS:
        save_openpose(root / f"poses/frame{n:06}_keypoints.json", body(600, 300))
    sets = data(root, keypoints="poses", skeleton="body_25")
    assert EverybodyDance.gives(keypoints="poses") == {"video", "condition", "face_box", "pose"}
    pose = sets.eval_batch("train", [0], 2, 1, 0)["pose"]
    assert pose.shape == (1, 1, 2, 25, 3)
    expected = (body(600, 300)[:, :2] + 0.5) * [32 / 1920, 16 / 1080] - 0.5
    np.testing.assert_allclose(pose[0, 0, 1, :, :2], expected, atol=1e-5)
    assert data(root, keypoints="poses").eval_batch("train", [0], 2, 1, 0)["pose"].shape[3] == 23


def test_frames_of_nobody_and_of_two_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = frames(tmp_path, numbers=tuple(range(10)))
    for n in range(10):
        people = {3: 0, 7: 2}.get(n, 1)
        bodies = np.stack([body(600 + 50 * p, 300) for p in range(people)] or [body(0, 0)])[:people]
        write_yaml_frame(root / f"keys/frame{n:06}", bodies)
    with caplog.at_level(logging.WARNING):
        store = data(root, keypoints="keys").store("train")
    assert store.names == ["train/frame000000", "train/frame000004", "train/frame000008"]
    assert store.lengths.tolist() == [3, 3, 2]
    assert "frame000003: 0 persons\n  frame000007: 2 persons" in caplog.text


def write_yaml_frame(stem: Path, bodies: np.ndarray) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(stem, People.of(BODY_25, bodies[None].astype(np.float32)))


def test_key_points_of_other_frames_do_no_harm(tmp_path: Path) -> None:
    """The preparation keeps key-points of frames that it left out, and of all phases, in one folder."""
    root = frames(frames(tmp_path), "test", (101, 102))
    for n in (*NUMBERS, 13, 101, 102):
        save_openpose(root / f"poses/frame{n:06}_keypoints.json", body(600, 300))
    assert data(root, keypoints="poses", test="test").store("test").lengths.tolist() == [2]
    (root / "poses/frame000102_keypoints.json").unlink()
    with pytest.raises(BenchError, match="test/frame000102: has no keypoints"):
        data(root, keypoints="poses", test="test").store("test")


def test_names_without_numbers(tmp_path: Path) -> None:
    root = frames(tmp_path)
    for kind, ending in (("img", "png"), ("label", "png"), ("facetexts128", "txt")):
        path = root / f"train_{kind}/frame000001.{ending}"
        path.rename(path.with_name(f"first.{ending}"))
    with pytest.raises(BenchError, match=r"first\.png: its name has no frame number"):
        data(root).store("train")


def test_a_missing_set(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"the folder train_img is missing .*\nFound instead: nothing\n.*consent"):
        data(tmp_path).store("train")
