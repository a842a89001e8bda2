import numpy as np
import pytest

from datamodules.pose.people import People
from datamodules.pose.skeletons import BODY_25, COCO_18
from datamodules.pose.stick_vid2vid import Vid2VidStyle, draw
from tests.datamodules.pose.random_people import random_people


def body(**joints: tuple[float, float]) -> People:
    """One frame of one person with these joints only."""
    pose = np.zeros((1, 1, 25, 3), np.float32)
    for name, (x, y) in joints.items():
        pose[0, 0, BODY_25.index(name)] = (x, y, 1)
    return People.of(BODY_25, pose)


def colours(frame: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(c) for c in frame.reshape(-1, 3).tolist()} - {(0, 0, 0)}


def test_a_limb_is_six_pixels_wide_with_round_ends() -> None:
    (frame,) = draw(body(right_elbow=(20, 30), right_wrist=(60, 30)), 60, 90)
    assert colours(frame) == {(153, 153, 0)}
    drawn = frame[..., 0] > 0
    assert np.flatnonzero(drawn[:, 40]).tolist() == [27, 28, 29, 30, 31, 32]
    assert np.flatnonzero(drawn[:, 20]).tolist() == list(range(24, 37))  # the disc, radius 6
    assert np.flatnonzero(drawn[30]).tolist() == list(range(14, 67))
    # By hand: 41 columns of brush ends and line, six high, and what the discs add to it.
    y, x = np.indices(drawn.shape)
    expected = (x >= 17) & (x < 63) & (y >= 27) & (y < 33)
    expected |= ((x - 20) ** 2 + (y - 30) ** 2 <= 36) | ((x - 60) ** 2 + (y - 30) ** 2 <= 36)
    np.testing.assert_array_equal(drawn, expected)


def test_overlaps_are_averaged_once() -> None:
    people = body(neck=(20, 30), mid_hip=(60, 30), right_elbow=(40, 10), right_wrist=(40, 50))
    (frame,) = draw(people, 60, 90)
    first, second = (153, 0, 0), (153, 153, 0)
    assert colours(frame) == {first, second, (153, 76, 0)}
    assert frame[30, 40].tolist() == [153, 76, 0] and frame[30, 30].tolist() == [*first]


def test_slanted_lines_have_no_gaps() -> None:
    (frame,) = draw(body(right_elbow=(5, 5), right_wrist=(140, 97)), 110, 160, Vid2VidStyle(limb=1, end=0))
    drawn = frame[..., 0] > 0
    assert drawn.any(0)[5:141].all() and drawn[5, 5] and drawn[97, 140]
    y, x = np.nonzero(drawn)
    distance = np.abs((x - 4.5) * 92 - (y - 4.5) * 135) / np.hypot(92, 135)
    assert distance.max() < 1.2


def test_right_and_left_have_their_own_colours() -> None:
    (frame,) = draw(body(left_elbow=(20, 30), left_wrist=(60, 30)), 60, 90)
    assert colours(frame) == {(0, 153, 0)}


def face(*points: tuple[int, float, float]) -> People:
    joints = np.zeros((1, 1, 70, 3), np.float32)
    for index, x, y in points:
        joints[0, 0, index] = (x, y, 0.5)
    return People.of(BODY_25, np.zeros((1, 1, 25, 3), np.float32), joints)


def test_faces_are_white_curves_through_their_points() -> None:
    (frame,) = draw(face((17, 10, 20), (18, 20, 12), (19, 30, 20), (0, 5, 5), (1, 5, 30)), 40, 50)
    assert colours(frame) == {(255, 255, 255)}
    drawn = frame[..., 0] > 0
    for x, y in ((10, 20), (20, 12), (30, 20), (15, 13)):  # by y = 12 + 0.08 (x - 20)^2 the last is at 14.0
        assert drawn[y, x]
    assert not drawn[:, 5].any()  # the jaw is left out
    assert drawn.any(0).sum() == 22  # x from 10 to 30 with a brush of two


def test_confidences_decide() -> None:
    people = body(right_elbow=(20, 30), right_wrist=(60, 30))
    people.body[..., 2] *= 0.01
    assert not draw(people, 60, 90).any()
    people.body[..., 2] *= 1.1
    assert draw(people, 60, 90).any()
    dim = face((27, 10, 20), (28, 10, 22), (29, 10, 25))
    dim.face[..., 2] *= 0.2
    assert not draw(dim, 40, 50).any()


def test_hands_are_drawn_finger_by_finger() -> None:
    hand = np.zeros((1, 1, 21, 3), np.float32)
    hand[0, 0, 0], hand[0, 0, 17] = (10, 10, 1), (30, 10, 1)
    (frame,) = draw(People.of(BODY_25, np.zeros((1, 1, 25, 3), np.float32), hand_left=hand), 20, 50)
    assert colours(frame) == {(163, 0, 204)}
    assert (frame[..., 0] > 0).any(1).sum() == 2


def test_frames_do_not_depend_on_each_other() -> None:
    people = random_people(0, 5, 2)
    together = draw(people, 240, 320)
    for frame in range(5):
        part = slice(frame, frame + 1)
        alone = People(
            people.skeleton, people.body[part], people.face[part], people.hand_left[part], people.hand_right[part]
        )
        np.testing.assert_array_equal(draw(alone, 240, 320)[0], together[frame])


@pytest.mark.parametrize("persons", [0, 1])
def test_other_skeletons_and_empty_frames(persons: int) -> None:
    drawn = draw(random_people(1, 2, persons, COCO_18), 100, 100)
    assert drawn.shape == (2, 100, 100, 3) and drawn.any() == bool(persons)


@pytest.mark.parametrize(
    ("a", "b", "colour"),
    [
        ("right_ear", "right_eye", (153, 0, 153)),
        ("left_ear", "left_eye", (51, 0, 153)),
        ("neck", "right_shoulder", (153, 51, 0)),
        ("left_shoulder", "left_elbow", (51, 153, 0)),
        ("mid_hip", "right_hip", (0, 153, 51)),
        ("left_hip", "left_knee", (0, 51, 153)),
        ("right_ankle", "right_heel", (0, 153, 153)),
        ("left_big_toe", "left_small_toe", (0, 0, 153)),
    ],
)
def test_limbs_have_the_published_colours(a: str, b: str, colour: tuple[int, ...]) -> None:
    (frame,) = draw(body(**{a: (20, 30), b: (60, 30)}), 60, 90)
    assert colours(frame) == {colour}
