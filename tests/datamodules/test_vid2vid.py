"""The three layouts of vid2vid: streets, dancers, faces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.face_map import face_map
from datamodules.pose.openpose_json import read_openpose
from datamodules.pose.stick_vid2vid import draw
from datamodules.vid2vid_face import Vid2VidFace
from datamodules.vid2vid_pose import Vid2VidPose
from datamodules.vid2vid_street import Vid2VidStreet
from tests.datamodules.drawn_faces import landmarks
from tests.datamodules.frame_files import body, flat, instances, labels, noise, save, save_openpose

SPLITS: dict[str, Any] = {"val": "train", "test": "train"}
SEQUENCES = {"seq2": 4, "seq10": 3}


def street(root: Path, classes: int = 35) -> Path:
    for s, (name, length) in enumerate(SEQUENCES.items()):
        for t in range(length):
            seed, stem = 10 * s + t, f"stuttgart_00_000000_{t:06}"
            condition = labels(seed) if classes else noise(seed)
            save(root / f"train_A/{name}/{stem}_gtFine_labelIds.png", condition)
            save(root / f"train_B/{name}/{stem}_leftImg8bit.png", noise(seed + 100))
            save(root / f"train_inst/{name}/{stem}_gtFine_instanceIds.png", instances(labels(seed)))
    return root


def streets(root: Path, **arguments: Any) -> Vid2VidStreet:
    return Vid2VidStreet(**{"root": str(root), "size": (16, 32), "frames": 3, **SPLITS, **arguments})


def test_a_sequence_is_a_video(tmp_path: Path) -> None:
    sets = streets(street(tmp_path))
    store = sets.store("train")
    assert dict(zip(store.names, store.lengths.tolist(), strict=True)) == {"train/seq10": 3, "train/seq2": 4}
    assert Vid2VidStreet.gives() == {"video", "labels", "instances"}
    batch = sets.batch("train", np.array([1, 0]), np.array([[1, 2, 3], [0, 1, 2]]), np.array([0, 1]))
    for b, seeds in enumerate(((1, 2, 3), (10, 11, 12))):
        for t, seed in enumerate(seeds):
            np.testing.assert_array_equal(batch["video"][b, :, t].permute(1, 2, 0), noise(seed + 100))
            np.testing.assert_array_equal(batch["labels"][b, t], labels(seed))
            np.testing.assert_array_equal(batch["instances"][b, t], instances(labels(seed)))


def test_coloured_streets(tmp_path: Path) -> None:
    batch = streets(street(tmp_path, classes=0), classes=0).eval_batch("train", [0], 3, 1, 0)
    assert set(batch) == {"video", "condition", "index", "name"}
    assert Vid2VidStreet.gives(classes=0) == {"video", "condition"}


def test_sequences_and_frames_have_to_match(tmp_path: Path) -> None:
    root = street(tmp_path)
    frame = "stuttgart_00_000000_000001"
    (root / f"train_A/seq2/{frame}_gtFine_labelIds.png").unlink()
    with pytest.raises(BenchError, match=rf"1 of 7 files cannot be used:\n  train/seq2/{frame}: has no label"):
        streets(root).store("train")
    save(root / "train_A/seq3/a.png", labels(0))
    with pytest.raises(BenchError, match=r"train_B and .*train_A hold different sequences: seq3 lie"):
        streets(root).store("train")


def test_a_frame_that_is_left_out_parts_its_sequence(tmp_path: Path) -> None:
    for t in range(40):
        save(tmp_path / f"train_B/s/{t}.png", flat(t))
        if t != 12:
            save(tmp_path / f"train_A/s/{t}.png", labels(t))
    store = streets(tmp_path, on_error="skip", instances=False).store("train")
    assert store.names == ["train/s/0", "train/s/13"] and store.lengths.tolist() == [12, 27]


def dancer(root: Path) -> Path:
    """Pictures of 96 x 48; a second person on the right; DensePose knows parts 0 to 24 in the blue channel."""
    for t in range(3):
        save(root / f"train_img/s/{t:05}.jpg.png", noise(t, 48, 96))
        save_openpose(
            root / f"train_openpose/s/{t:05}.jpg_keypoints.json", body(70, 20, confidence=0.4), body(40 + t, 10)
        )
        iuv = noise(t, 48, 96) // 2
        iuv[..., 2] = np.random.default_rng(t).integers(0, 25, (48, 96))
        save(root / f"train_densepose/s/{t:05}.jpg_IUV.png", iuv)
    return root


def dancers(root: Path, **arguments: Any) -> Vid2VidPose:
    return Vid2VidPose(**{"root": str(root), "size": (24, 24), "frames": 3, **SPLITS, **arguments})


def test_densepose_and_stick_figures_make_six_channels(tmp_path: Path) -> None:
    sets = dancers(dancer(tmp_path))
    assert sets.gives() == {"video", "condition", "pose", "mask"} and sets.skeleton == "body_25"
    batch = sets.eval_batch("train", [0], 3, 1, 0)
    assert batch["condition"].shape == (1, 6, 3, 24, 24) and batch["mask"].shape == (1, 1, 3, 24, 24)
    for t in range(3):
        parts = np.random.default_rng(t).integers(0, 25, (48, 96))[1::2, 25:73:2]  # the middle 48 columns, nearest
        np.testing.assert_array_equal(batch["condition"][0, 2, t], (parts * 255 / 24).astype(int))
        np.testing.assert_array_equal(batch["mask"][0, 0, t], 255 * (parts > 0))
        other = (noise(t, 48, 96) // 2)[1::2, 25:73:2]
        np.testing.assert_array_equal(batch["condition"][0, :2, t].permute(1, 2, 0), other[..., :2])
    assert batch["condition"][0, 2].max() == 255


def test_every_person_is_drawn_and_the_clearest_is_the_pose(tmp_path: Path) -> None:
    root = dancer(tmp_path)
    batch = dancers(root, size=(48, 96), densepose=False).eval_batch("train", [0], 3, 1, 0)
    assert batch["condition"].shape[1] == 3 and "mask" not in batch
    for t in range(3):
        people = read_openpose(root / f"train_openpose/s/{t:05}.jpg_keypoints.json")
        np.testing.assert_array_equal(batch["condition"][0, :, t].permute(1, 2, 0), draw(people, 48, 96)[0])
        np.testing.assert_allclose(batch["pose"][0, 0, t], body(40 + t, 10), atol=1e-4)
    both = dancers(root, size=(48, 96), persons=3).eval_batch("train", [0], 3, 1, 0)["pose"]
    assert (both[0, :, :, :, 2].amax((1, 2)) > 0).tolist() == [True, True, False]
    np.testing.assert_allclose(both[0, 0, 0], body(70, 20, confidence=0.4), atol=1e-4)


def test_limbs_that_leave_the_crop_are_drawn_to_its_border(tmp_path: Path) -> None:
    root = dancer(tmp_path)
    for t in range(3):
        pose = body(40, 10)
        pose[2:5, 0] = 5, 15, 30  # shoulder to wrist, partly left of column 24
        save_openpose(root / f"train_openpose/s/{t:05}.jpg_keypoints.json", pose)
    batch = dancers(root, densepose=False).eval_batch("train", [0], 3, 1, 0)
    assert not batch["pose"][0, 0, 0, 2].any() and batch["pose"][0, 0, 0, 4, 2] == 1
    assert batch["condition"][0, :, 0, :, 0].any()


def test_a_frame_without_people_is_black(tmp_path: Path) -> None:
    root = dancer(tmp_path)
    save_openpose(root / "train_openpose/s/00001.jpg_keypoints.json")
    batch = dancers(root, densepose=False).eval_batch("train", [0], 3, 1, 0)
    assert not batch["condition"][0, :, 1].any() and not batch["pose"][0, 0, 1].any()
    assert batch["pose"][0, 0, 0].any()


def test_other_densepose_pictures_are_refused(tmp_path: Path) -> None:
    root = dancer(tmp_path)
    save(root / "train_densepose/s/00001.jpg_IUV.png", noise(0, 48, 96))
    with pytest.raises(BenchError, match=r"part 255 in the blue channel, expected 0 to 24; was it scaled already"):
        dancers(root).eval_batch("train", [0], 3, 1, 0)
    with pytest.raises(BenchError, match="both false"):
        dancers(root, openpose=False, densepose=False)


def face(left: float, top: float, width: float, height: float) -> np.ndarray:
    """68 2: points that span the box."""
    points = np.random.default_rng(0).random((68, 2))
    points[0], points[1] = 0, 1
    return points * [width, height] + [left, top]


def talker(root: Path, first: np.ndarray) -> Path:
    for t in range(3):
        save(root / f"train_img/s/{t}.jpg.png", noise(t, 80, 120))
        path = root / f"train_keypoints/s/{t}.jpg.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(f"{x:.2f},{y:.2f}" for x, y in first + np.array([4 * t, 0])) + "\n")
    return root


def faces(root: Path, **arguments: Any) -> Vid2VidFace:
    return Vid2VidFace(**{"root": str(root), "size": 50, "frames": 3, **SPLITS, **arguments})


def test_the_square_around_the_first_face_is_kept(tmp_path: Path) -> None:
    sets = faces(talker(tmp_path, face(50, 30, 20, 24)))
    assert sets.gives() == {"video", "condition", "pose"} and Vid2VidFace.gives(edges=False) == {"video", "pose"}
    batch = sets.eval_batch("train", [0], 3, 1, 0)
    # side 2.5 x 20, middle column 60, middle row (3 x 30 + 54) / 4 = 36
    for t in range(3):
        np.testing.assert_array_equal(batch["video"][0, :, t].permute(1, 2, 0), noise(t, 80, 120)[11:61, 35:85])
        points = batch["pose"][0, 0, t, :68]
        np.testing.assert_allclose(points[:, :2], face(50, 30, 20, 24) - [35, 11] + [4 * t, 0], atol=6e-3)
        assert points[:, 2].all() and not batch["pose"][0, 0, t, 68:].any()


def test_a_square_at_the_border_is_moved_inside(tmp_path: Path) -> None:
    batch = faces(talker(tmp_path, face(2, 2, 20, 24))).eval_batch("train", [0], 3, 1, 0)
    np.testing.assert_array_equal(batch["video"][0, :, 0].permute(1, 2, 0), noise(0, 80, 120)[:50, :50])
    whole = faces(tmp_path, size=(80, 120), square=None).eval_batch("train", [0], 3, 1, 0)
    np.testing.assert_array_equal(whole["video"][0, :, 1].permute(1, 2, 0), noise(1, 80, 120))


def test_a_square_larger_than_the_picture_is_black_outside(tmp_path: Path) -> None:
    batch = faces(talker(tmp_path, face(50, 30, 40, 24)), size=100).eval_batch("train", [0], 3, 1, 0)
    video = batch["video"][0, :, 0].permute(1, 2, 0)
    assert not video[:10].any() and not video[90:].any()
    np.testing.assert_array_equal(video[10:90], noise(0, 80, 120)[:, 20:])


def test_frames_without_a_face_are_named(tmp_path: Path) -> None:
    root = talker(tmp_path, face(50, 30, 20, 24))
    path = root / "train_keypoints/s/1.jpg.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:60]))
    with pytest.raises(BenchError, match=r"1\.jpg\.txt: 60 lines found, expected 68"):
        faces(root).eval_batch("train", [0], 3, 1, 0)
    path.unlink()
    with pytest.raises(BenchError, match=r"train/s/1\.jpg: has no keypoints \(s\)"):
        faces(root).store("train")


def test_faces_are_drawn_in_the_frame_that_is_shown(tmp_path: Path) -> None:
    batch = faces(talker(tmp_path, landmarks(60, 36, 20))).eval_batch("train", [0], 3, 1, 0)
    assert batch["condition"].shape == (1, 15, 3, 50, 50)
    for t in range(3):
        shown = batch["video"][0, :, t].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(batch["condition"][0, :, t], face_map(batch["pose"][0, 0, t, :68].numpy(), shown))
    assert "condition" not in faces(tmp_path, edges=False).eval_batch("train", [0], 3, 1, 0)
