import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.openpose_json import read_openpose, write_openpose
from datamodules.pose.skeletons import BODY_23, BODY_25, COCO_18
from tests.datamodules.pose.random_people import assert_same, random_people


def write(path: Path, *people: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"version": 1.3, "people": list(people)}))
    return path


def flat(joints: int) -> list[float]:
    return [float(i) for i in range(3 * joints)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    people = random_people(0, 1, 3)
    write_openpose(tmp_path / "a.json", people)
    assert_same(read_openpose(tmp_path / "a.json"), people)


def test_joints_are_x_y_confidence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"pose_keypoints_2d": flat(18), "face_keypoints_2d": flat(70)})
    people = read_openpose(path)
    assert people.skeleton is COCO_18 and people.body.dtype == np.float32
    assert people.body[0, 0, 2].tolist() == [6, 7, 8]
    assert people.face[0, 0, 69].tolist() == [207, 208, 209]
    assert not people.hand_left.any()


def test_old_keys_without_2d_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"pose_keypoints": flat(25), "hand_right_keypoints": flat(21)})
    people = read_openpose(path)
    assert people.skeleton is BODY_25 and people.hand_right[0, 0, 20].tolist() == [60, 61, 62]


def test_nobody_is_a_frame_without_persons(tmp_path: Path) -> None:
    people = read_openpose(write(tmp_path / "a.json"), BODY_23)
    assert (people.frames, people.persons, people.skeleton) == (1, 0, BODY_23)


def test_a_person_may_have_a_face_only(tmp_path: Path) -> None:
    face = {"pose_keypoints_2d": [], "face_keypoints_2d": flat(70)}
    people = read_openpose(write(tmp_path / "a.json", face, {"pose_keypoints_2d": flat(18)}))
    assert not people.body[0, 0].any() and people.body[0, 1].any()
    assert people.counts().tolist() == [2]


def test_missing_persons_are_not_written(tmp_path: Path) -> None:
    people = random_people(0, 1, 2)
    for part in (people.body, people.face, people.hand_left, people.hand_right):
        part[0, 0] = 0
    write_openpose(tmp_path / "a.json", people)
    assert read_openpose(tmp_path / "a.json").persons == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"people": [\n{"pose_keypoints_2d": [1, 2', "a.json, line 2: not JSON"),
        ("[]", "a.json: no list of objects `people`"),
        ('{"people": [3]}', "a.json: no list of objects `people`"),
        ('{"people": [{}, {"pose_keypoints_2d": [1, 2]}]}', r"people\[1\].pose_keypoints_2d: 2 numbers found"),
        ('{"people": [{"pose_keypoints_2d": "x"}]}', r"people\[0\].pose_keypoints_2d: 'x' found"),
        ('{"people": [{"face_keypoints_2d": [1, 2, null]}]}', r"people\[0\].face_keypoints_2d\[2\]: None found"),
        ('{"people": [{"face_keypoints_2d": [1, 2, NaN]}]}', r"face_keypoints_2d\[2\]: nan found, expected a number"),
        ('{"people": [{"face_keypoints_2d": [1, 2, 1]}]}', r"face_keypoints_2d: 1 joints found, expected 70"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 1]}]}', "1 body joints found, expected 18"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BenchError, match=said):
        read_openpose(tmp_path / "a.json")


def test_other_trouble_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"gone\.json: No such file"):
        read_openpose(tmp_path / "gone.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match=r"b\.json: not a text file"):
        read_openpose(tmp_path / "b.json")
    path = write(tmp_path / "a.json", {"pose_keypoints_2d": flat(18)}, {"pose_keypoints_2d": flat(25)})
    with pytest.raises(BenchError, match=r"bodies of \[18, 25\] joints in one file"):
        read_openpose(path)
    with pytest.raises(BenchError, match="the body is coco_18, expected body_25"):
        read_openpose(write(tmp_path / "a.json", {"pose_keypoints_2d": flat(18)}), BODY_25)
