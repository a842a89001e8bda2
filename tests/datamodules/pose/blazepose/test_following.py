"""How persons are followed, with networks that see coloured blocks: red is the score, green tells blocks apart."""

import numpy as np
import pytest
from PIL import Image

from datamodules.pose.blazepose import body
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.blazepose.crop import Square
from datamodules.pose.blazepose.person import Person
from datamodules.pose.skeletons import BODY_25

SIZE = 40.0


def blocks(image: Image.Image) -> list[tuple[np.ndarray, float]]:
    """Middle and score of each block, from left to right; a block has one colour of its own in green."""
    pixels = np.asarray(image).astype(int)
    out = []
    for mark in np.unique(pixels[..., 1]):
        if mark:
            y, x = np.nonzero(pixels[..., 1] == mark)
            out.append((np.array([x.mean(), y.mean()]), pixels[y[0], x[0], 0] / 255))
    return sorted(out, key=lambda block: block[0][0])


class Detector:
    calls = 0

    def __init__(self, folder: object, threads: int) -> None:
        Detector.calls = 0

    def __call__(self, image: Image.Image) -> list[Square]:
        Detector.calls += 1
        return [Square(middle, SIZE) for middle, _ in blocks(image)]


class Points:
    def __init__(self, folder: object, threads: int) -> None: ...

    def __call__(self, image: Image.Image, square: Square) -> Person:
        near = [(m, s) for m, s in blocks(image) if np.hypot(*(m - square.centre)) < SIZE / 2]
        middle, score = near[0] if near else (square.centre, 0.0)
        points = np.concatenate([middle + np.linspace(-5, 5, 33)[:, None] * (0, 1), np.full((33, 1), 0.9)], -1)
        return Person(points, Square(middle, SIZE), score)


@pytest.fixture(autouse=True)
def blocks_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PersonDetector", Detector)
    monkeypatch.setattr(body, "PersonPoints", Points)


def film(*people: dict[int, tuple[int, int]], score: int = 255, frames: int = 10) -> np.ndarray:
    """Each person is `frame -> (x, y)` of a block of 7 pixels."""
    out = np.zeros((frames, 120, 200, 3), np.uint8)
    for mark, places in enumerate(people, 1):
        for frame, (x, y) in places.items():
            out[frame, max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = (score, mark, 0)
    return out


def walk(start: int, speed: int, y: int = 60, frames: range = range(10)) -> dict[int, tuple[int, int]]:
    return {t: (start + speed * t, y) for t in frames}


def noses(poses: np.ndarray) -> list[list[float]]:
    return poses[..., BODY_25.index("nose"), 0].T.round().tolist()


def test_a_person_is_followed_without_the_detector() -> None:
    found = BlazePose(persons=1).estimate(film(walk(30, 10)))
    assert noses(found.poses) == [[30 + 10 * t for t in range(10)]]
    assert Detector.calls == 1 and found.report.persons.tolist() == [1] * 10


def test_two_persons_keep_their_rows() -> None:
    found = BlazePose(persons=2).estimate(film(walk(30, 10, 30), walk(170, -10, 90)))
    assert noses(found.poses) == [[30 + 10 * t for t in range(10)], [170 - 10 * t for t in range(10)]]
    assert Detector.calls == 1


def test_who_comes_later_is_found_at_the_next_detection() -> None:
    found = BlazePose(persons=2, every=4).estimate(film(walk(30, 5, 30), walk(100, 5, 90, range(2, 10))))
    assert found.report.persons.tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert found.report.lines()[1] == "frames 4-9: 2 persons (1 entered)"


def test_who_leaves_is_reported_and_the_other_keeps_his_row() -> None:
    found = BlazePose(persons=2).estimate(film(walk(30, 5, 30, range(6)), walk(100, 5, 90)))
    assert found.report.left.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    rows = noses(found.poses)
    assert rows[0][6:] == [0] * 4 and rows[1] == [100 + 5 * t for t in range(10)]


def test_the_detector_looks_in_the_frame_in_which_someone_was_lost() -> None:
    jump = {t: ((30, 60) if t < 3 else (150, 60)) for t in range(10)}
    found = BlazePose(persons=1).estimate(film(jump))
    assert found.report.persons.tolist() == [1] * 10 and Detector.calls == 2


def test_nobody_and_weak_scores_give_no_poses() -> None:
    for frames in (film(), film(walk(30, 5), score=100)):
        found = BlazePose().estimate(frames)
        assert not found.poses.any() and found.report.lines() == ["frames 0-9: no person"]
    assert Detector.calls == 10  # as long as there is nobody, each frame is searched


def test_two_rows_never_follow_one_person() -> None:
    meet = {t: (max(170 - 20 * t, 90), 60) for t in range(6)}
    found = BlazePose(persons=2).estimate(film({t: (90, 60) for t in range(10)}, meet))
    assert found.report.persons[-1] == 1


def test_joints_outside_of_the_picture_are_missing() -> None:
    found = BlazePose(persons=1).estimate(film({t: (60, 3) for t in range(2)}, frames=2))
    seen = found.poses[0, 0, :, 2] > 0
    assert 4 < seen.sum() < 23 and (found.poses[0, 0, seen, 1] >= 0).all()


def test_large_frames_give_poses_in_their_own_pixels() -> None:
    small = film(walk(30, 5))
    large = small.repeat(8, 1).repeat(8, 2)  # 1600 wide: averaged down by 3
    found = BlazePose(persons=1).estimate(large)
    np.testing.assert_allclose(noses(found.poses)[0], [8 * (30 + 5 * t) + 3.5 for t in range(10)], atol=4)


def test_progress_is_told_frame_by_frame() -> None:
    calls: list[tuple[int, int]] = []
    BlazePose().estimate(film(frames=3), lambda *done: calls.append(done))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_who_is_lost_is_looked_for_at_once_while_another_stays() -> None:
    jump = {t: ((100, 90) if t < 3 else (170, 90)) for t in range(5)}
    found = BlazePose(persons=2, every=100).estimate(film(walk(30, 5, 30, range(5)), jump, frames=5))
    assert found.report.persons.tolist() == [2] * 5 and Detector.calls == 2


def test_who_shows_too_few_joints_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    leaving = film({0: (60, 60), 1: (60, 30), 2: (60, 0)}, frames=3)
    found = BlazePose(persons=1).estimate(leaving)
    assert 0 < (found.poses[2, 0, :, 2] > 0).sum() < 20
    monkeypatch.setattr(body, "FEWEST", 20)
    fewer = BlazePose(persons=1).estimate(leaving)
    assert not fewer.poses[2].any() and fewer.report.left.tolist() == [0, 0, 1]


def test_hidden_joints_are_missing() -> None:
    found = BlazePose(persons=1, visible=0.95).estimate(film(walk(30, 5)))  # all have 0.9
    assert not found.poses.any()
