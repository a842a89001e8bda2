import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.media import write_lossless
from datamodules.pose import driving
from datamodules.pose.driving import PoseFiles, read_posed
from datamodules.pose.keypoint_csv import write_keypoints
from datamodules.pose.skeletons import BODY_25, COCO_18

SIZE = (64, 32)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """128 x 64, the left half red and the right half blue."""
    pixels = np.zeros((128, 64, 3), np.uint8)
    pixels[:, :32, 0], pixels[:, 32:, 2] = 255, 255
    Image.fromarray(pixels).save(tmp_path / "me.png")
    return tmp_path / "me.png"


def person(x: float, y: float, joints: int = 18, confidence: float = 1.0) -> dict[str, Any]:
    return {"pose_keypoints_2d": [x, y, confidence] * joints}


def folder(path: Path, *frames: list[dict[str, Any]]) -> Path:
    path.mkdir()
    for number, people in enumerate(frames):
        (path / f"{number:03d}_keypoints.json").write_text(json.dumps({"people": people}))
    return path


def test_key_points_and_picture_are_fitted_alike(tmp_path: Path, picture: Path) -> None:
    poses = folder(tmp_path / "poses", [person(10.5, 20.5)], [], [person(40.5, 100.5, 25)][:0], [person(63, 127)])
    given = read_posed(PoseFiles(picture, poses), SIZE)
    assert given.source.shape == (*SIZE, 3) and given.driving is None and not given.source_pose.any()
    assert given.source[5, 3].tolist() == [255, 0, 0] and given.source[5, 28].tolist() == [0, 0, 255]
    assert given.poses.shape == (4, 18, 3)  # half the size: (x + 1/2) / 2 - 1/2
    np.testing.assert_allclose(given.poses[0, 3], [5, 10, 1])
    np.testing.assert_allclose(given.poses[3, 0], [31.25, 63.25, 1])
    assert given.notes == [f"{poses}: nobody in 2 of 4 frames, such as 1, 2"]
    assert len(read_posed(PoseFiles(picture, poses), SIZE, frames=1).poses) == 1


def test_another_aspect_gets_borders(tmp_path: Path, picture: Path) -> None:
    """64 x 64 of a picture of 128 x 64: its 32 columns stand in the middle, and so do the joints."""
    given = read_posed(PoseFiles(picture, folder(tmp_path / "poses", [person(0, 0)])), (64, 64))
    assert not given.source[:, :16].any() and not given.source[:, 48:].any() and given.source[:, 16:48].any(-1).all()
    np.testing.assert_allclose(given.poses[0, 0], [15.75, -0.25, 1])


def test_key_points_of_frames_of_another_size(tmp_path: Path, picture: Path) -> None:
    poses = folder(tmp_path / "poses", [person(500.5, 1000.5)])
    with pytest.raises(BenchError, match=r"every joint lies outside of a picture of 64 x 128 .*--pose_size"):
        read_posed(PoseFiles(picture, poses), SIZE)
    given = read_posed(PoseFiles(picture, poses, pose_size=(1280, 640)), SIZE)
    np.testing.assert_allclose(given.poses[0, 0], [501 / 20 - 0.5, 1001 / 20 - 0.5, 1], rtol=1e-5)


def test_body_25_becomes_coco_18(tmp_path: Path, picture: Path) -> None:
    numbered = [value for joint in range(25) for value in (joint + 0.5, 2 * joint + 0.5, 1)]
    poses = folder(tmp_path / "poses", [{"pose_keypoints_2d": numbered}])
    found = read_posed(PoseFiles(picture, poses), SIZE).poses[0]
    expected = [(BODY_25.joints.index(joint) + 1) / 2 - 0.5 for joint in COCO_18.joints]
    np.testing.assert_allclose(found[:, 0], expected)


def test_of_several_the_surest_is_drawn(tmp_path: Path, picture: Path) -> None:
    unsure, sure = person(10.5, 10.5, confidence=0.3), person(30.5, 30.5, confidence=0.9)
    poses = folder(tmp_path / "poses", [unsure, sure], [sure, unsure], [unsure])
    given = read_posed(PoseFiles(picture, poses), SIZE)
    assert given.poses[:, 0, 0].tolist() == [15, 15, 5]
    assert given.notes == [f"{poses}: up to 2 persons in a frame; the surest of each frame is drawn"]


def test_csv_one_json_and_the_source_s_pose(tmp_path: Path, picture: Path) -> None:
    pose = np.tile(np.array([9, 19, 1], np.float32), (2, 18, 1))
    write_keypoints(tmp_path / "poses.csv", ["a.jpg", "b.jpg"], pose)
    (tmp_path / "still.json").write_text(json.dumps({"people": [person(20.5, 40.5)]}))
    given = read_posed(PoseFiles(picture, tmp_path / "poses.csv", tmp_path / "still.json"), SIZE, True)
    assert given.poses.shape == (2, 18, 3)
    np.testing.assert_allclose(given.poses[1, 5], [4.25, 9.25, 1])
    np.testing.assert_allclose(given.source_pose[5], [10, 20, 1])


class Found:
    """In place of BlazePose: a person whose joints lie at the brightest pixel of a frame."""

    def __init__(self, skeleton_name: str, persons: int) -> None:
        assert (skeleton_name, persons) == ("coco_18", 1)

    def following(self) -> Any:
        def look(frame: np.ndarray) -> np.ndarray:
            light = frame.sum(-1).astype(int)
            y, x = np.argwhere(light >= light.max() - 30).mean(0)
            seen = float(frame.max() > 60)
            return np.tile(np.array([x, y, 1], np.float32) * seen, (1, 18, 1))

        return look


def test_videos_are_looked_at(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = np.zeros((3, 64, 64, 3), np.uint8)
    for frame, (x, y) in enumerate([(16, 32), (48, 48)]):  # and nobody in the last
        clip[frame, y - 2 : y + 2, x - 2 : x + 2] = 255
    write_lossless(tmp_path / "dance.mkv", clip)
    monkeypatch.setattr(driving, "BlazePose", Found)
    given = read_posed(PoseFiles(picture, tmp_path / "dance.mkv"), SIZE)
    assert given.driving is not None and given.driving.shape == (3, *SIZE, 3)
    assert not given.driving[:, :16].any()  # a square in the middle of a taller frame
    # 64 pixels become 32, below a border of 16
    np.testing.assert_allclose(given.poses[:2, 0, :2], [[7.5, 31.5], [23.5, 39.5]], atol=0.3)
    assert given.notes == [f"{tmp_path / 'dance.mkv'}: nobody in 1 of 3 frames, such as 2"]
    with_source = read_posed(PoseFiles(picture, tmp_path / "dance.mkv"), SIZE, True, frames=2)
    assert with_source.source_pose.any() and len(with_source.poses) == 2
    assert with_source.driving is not None and len(with_source.driving) == 2


def test_nobody(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poses = folder(tmp_path / "poses", [], [])
    with pytest.raises(BenchError, match="nobody is in any of its 2 frames"):
        read_posed(PoseFiles(picture, poses), SIZE)
    (tmp_path / "still.json").write_text('{"people": []}')
    good = folder(tmp_path / "good", [person(10, 10)])
    with pytest.raises(BenchError, match=r"still.json: nobody is found in the source picture"):
        read_posed(PoseFiles(picture, good, tmp_path / "still.json"), SIZE)
    monkeypatch.setattr(driving, "BlazePose", Found)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    with pytest.raises(BenchError, match=r"me.png: nobody is found in the source picture; name his key-points"):
        read_posed(PoseFiles(picture, good, None, (64, 32)), SIZE, True)


def test_files_that_cannot_be_read(tmp_path: Path, picture: Path) -> None:
    good = folder(tmp_path / "good", [person(10, 10)])
    (tmp_path / "text.txt").write_text("no picture and no video")
    for files, message in (
        (PoseFiles(tmp_path / "none.png", good), "none.png: no readable picture"),
        (PoseFiles(tmp_path / "text.txt", good), "text.txt: no readable picture: "),
        (PoseFiles(picture, tmp_path / "none"), "none: no such folder of key-points, and no such file"),
    ):
        with pytest.raises(BenchError, match=message):
            read_posed(files, SIZE)


def test_files_that_are_no_video(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "BlazePose", Found)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BenchError, match=r"text.mp4: neither key-points nor a readable video"):
        read_posed(PoseFiles(picture, tmp_path / "text.mp4"), SIZE)
