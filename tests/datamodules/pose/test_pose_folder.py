from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.opencv_yaml import write_yaml
from datamodules.pose.openpose_json import write_openpose
from datamodules.pose.people import joined
from datamodules.pose.pose_folder import read_folder
from datamodules.pose.skeletons import BODY_23, BODY_25, COCO_18
from tests.datamodules.pose.random_people import assert_same, random_people


def test_frames_come_in_natural_order(tmp_path: Path) -> None:
    frames = [random_people(i, 1, 1 + i % 2) for i in range(12)]
    for i, frame in enumerate(frames):
        write_openpose(tmp_path / f"clip_{i}_keypoints.json", frame)
    names, people = read_folder(tmp_path)
    assert names == [f"clip_{i}" for i in range(12)]
    assert_same(people, joined(frames))


def test_yaml_frames_and_an_empty_first_one(tmp_path: Path) -> None:
    nobody, one = random_people(0, 1, 0, BODY_23), random_people(1, 1, 1, BODY_23)
    write_yaml(tmp_path / "frame000001", nobody)
    write_yaml(tmp_path / "frame000002", one)
    names, people = read_folder(tmp_path, dtype=np.float64)
    assert names == ["frame000001", "frame000002"] and people.skeleton is BODY_23
    assert people.body.dtype == np.float64 and people.counts().tolist() == [0, 1]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no key-points found, expected OpenPose's"):
        read_folder(tmp_path)
    with pytest.raises(BenchError, match="gone: no such folder"):
        read_folder(tmp_path / "gone")
    write_openpose(tmp_path / "1.json", random_people(0, 1, 1, BODY_25))
    write_openpose(tmp_path / "2.json", random_people(0, 1, 1, COCO_18))
    with pytest.raises(BenchError, match=r"2\.json: the body is coco_18, but others of the folder are body_25"):
        read_folder(tmp_path)
