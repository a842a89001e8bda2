from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.convert import convert
from datamodules.pose.estimator import FilePoses, KnownPoses, PoseEstimator, PoseReport
from datamodules.pose.openpose_json import write_openpose
from datamodules.pose.skeletons import BODY_25, COCO_18
from tests.datamodules.pose.random_people import random_people


def present(*rows: str) -> np.ndarray:
    """T P 1 3 from a string a person: `x` where he is seen."""
    there = np.array([[c == "x" for c in row] for row in rows]).T
    return there[..., None, None] * np.array([5, 5, 0.5], np.float32)


def test_reports_say_who_comes_and_goes() -> None:
    report = PoseReport.of(present("-xxxx--x", "---xx---"), seconds=2.0)
    assert report.persons.tolist() == [0, 1, 1, 2, 2, 0, 0, 1]
    assert report.entered.tolist() == [0, 1, 0, 1, 0, 0, 0, 1]
    assert report.left.tolist() == [0, 0, 0, 0, 0, 2, 0, 0]
    assert (report.found, report.frames_per_second) == (5 / 8, 4.0)
    assert report.lines() == [
        "frame 0: no person",
        "frames 1-2: 1 person (1 entered)",
        "frames 3-4: 2 persons (1 entered)",
        "frames 5-6: no person (2 left)",
        "frame 7: 1 person (1 entered)",
    ]


def test_who_takes_anothers_place_is_noticed() -> None:
    report = PoseReport.of(present("x-", "-x"), seconds=1.0)
    assert report.persons.tolist() == [1, 1]
    assert (report.entered.tolist(), report.left.tolist()) == ([0, 1], [0, 1])


def test_an_empty_video_has_a_report() -> None:
    report = PoseReport.of(np.zeros((0, 1, 18, 3), np.float32), seconds=0.0)
    assert (report.found, report.lines()) == (0.0, [])


def test_known_poses_are_given_in_the_skeleton_asked_for() -> None:
    poses = random_people(0, 4, 2).body
    estimator: PoseEstimator = KnownPoses(poses, BODY_25, COCO_18)
    calls: list[tuple[int, int]] = []
    found = estimator.estimate(np.zeros((4, 8, 8, 3), np.uint8), lambda *done: calls.append(done))
    np.testing.assert_array_equal(found.poses, convert(poses, BODY_25, COCO_18))
    assert found.poses.dtype == np.float32 and estimator.skeleton is COCO_18
    assert calls == [(4, 4)] and found.report.persons.tolist() == [2, 2, 2, 2]


def test_files_are_an_estimator(tmp_path: Path) -> None:
    frames = [random_people(i, 1, 1) for i in range(3)]
    for i, frame in enumerate(frames):
        write_openpose(tmp_path / f"{i}.json", frame)
    estimator: PoseEstimator = FilePoses(tmp_path)
    found = estimator.estimate(np.zeros((3, 8, 8, 3), np.uint8))
    np.testing.assert_array_equal(found.poses[:, 0], [frame.body[0, 0] for frame in frames])
    with pytest.raises(BenchError, match="poses of 3 frames, but the video has 2"):
        estimator.estimate(np.zeros((2, 8, 8, 3), np.uint8))
