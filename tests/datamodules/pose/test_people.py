import numpy as np
import pytest

from datamodules.pose.people import People, joined
from datamodules.pose.skeletons import BODY_23, BODY_25, COCO_18
from tests.datamodules.pose.random_people import assert_same, random_people


def test_missing_persons_fill_up_frames() -> None:
    one, two, nobody = random_people(0, 2, 1), random_people(1, 1, 2), random_people(2, 1, 0)
    people = joined([one, two, nobody])
    assert (people.frames, people.persons) == (4, 2)
    assert people.counts().tolist() == [1, 1, 2, 0]
    np.testing.assert_array_equal(people.face[:2, :1], one.face)
    np.testing.assert_array_equal(people.hand_left[2], two.hand_left[0])
    assert not people.body[3].any()


def test_joining_nothing_or_two_skeletons_is_refused() -> None:
    with pytest.raises(ValueError, match="one skeleton"):
        joined([random_people(0, 1, 1), random_people(0, 1, 1, BODY_23)])
    with pytest.raises(ValueError, match="one skeleton"):
        joined([])


def test_a_face_alone_counts_as_a_person() -> None:
    body, face = np.zeros((1, 2, 25, 3), np.float32), np.zeros((1, 2, 70, 3), np.float32)
    face[0, 1, 30] = (5, 6, 0.9)
    assert People.of(BODY_25, body, face).counts().tolist() == [1]


def test_moving_keeps_missing_joints_missing() -> None:
    people = random_people(3, 2, 2)
    moved = people.transformed(0.5, (10, -4))
    there = people.body[..., 2] > 0
    np.testing.assert_array_equal(moved.body[~there], 0)
    np.testing.assert_allclose(moved.body[there][:, 0], people.body[there][:, 0] * 0.5 + 10, rtol=1e-6)
    np.testing.assert_allclose(moved.body[there][:, 1], people.body[there][:, 1] * 0.5 - 4, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(moved.hand_right[..., 2], people.hand_right[..., 2])
    assert_same(people.transformed(1, (0, 0)), people)


def test_another_skeleton_keeps_faces_and_hands() -> None:
    people = random_people(4, 1, 1)
    turned = people.to(COCO_18)
    np.testing.assert_array_equal(turned.body[0, 0, :8], people.body[0, 0, :8])
    np.testing.assert_array_equal(turned.face, people.face)
    assert turned.skeleton is COCO_18


@pytest.mark.parametrize("shape", [(1, 1, 24, 3), (1, 25, 3), (1, 1, 25, 2)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="body is float32"):
        People.of(BODY_25, np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="hand_left is"):
        People.of(BODY_25, np.zeros((1, 1, 25, 3)), hand_left=np.zeros((1, 2, 21, 3)))
