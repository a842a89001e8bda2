import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.convert import convert, mirror
from datamodules.pose.skeletons import (
    BODIES,
    BODY_23,
    BODY_25,
    COCO_18,
    FACE_70,
    HAND_21,
    SKELETONS,
    Skeleton,
    body_of,
    skeleton,
)


def numbered(joints: int) -> np.ndarray:
    """A pose whose x says which joint it is."""
    row = np.arange(joints, dtype=np.float32)
    return np.stack([row, 100 + row, np.full(joints, 0.5, np.float32)], -1)


@pytest.mark.parametrize("name", SKELETONS)
def test_tables_fit_together(name: str) -> None:
    known = skeleton(name)
    joints = int(name.rpartition("_")[2])
    assert len(known) == len(known.joints) == len(set(known.joints)) == len(known.colours) == joints
    assert all(0 <= j < joints and a != b for a, b in known.limbs for j in (a, b))
    assert len({frozenset(limb) for limb in known.limbs}) == len(known.limbs)
    np.testing.assert_array_equal(known.swap[known.swap], np.arange(joints))


def test_published_orders() -> None:
    """OpenPose's documents and the released labels, joint by joint where mistakes are made."""
    places = {"nose": 0, "neck": 1, "right_wrist": 4, "left_wrist": 7, "right_ankle": 10, "left_ankle": 13}
    assert {j: COCO_18.index(j) for j in places} == places
    assert COCO_18.joints[14:] == ("right_eye", "left_eye", "right_ear", "left_ear")
    assert BODY_25.joints[8] == "mid_hip" and BODY_25.joints[15:19] == COCO_18.joints[14:]
    assert [BODY_25.index(f"{side}_heel") for side in ("left", "right")] == [21, 24]
    assert (BODY_23.joints[0], BODY_23.joints[18], BODY_23.joints[20], BODY_23.joints[22]) == (
        "neck", "nose", "right_ear", "left_ear",
    )  # fmt: skip
    assert (BODY_23.joints[10], BODY_23.joints[15]) == ("right_ankle", "left_ankle")
    assert set(BODY_25.joints) - set(BODY_23.joints) == {"left_heel", "right_heel"}


def test_body_25_to_23_is_the_published_choice_of_rows() -> None:
    rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 22, 23, 12, 13, 14, 19, 20, 0, 15, 17, 16, 18]
    pose = numbered(25)
    np.testing.assert_array_equal(convert(pose, BODY_25, BODY_23), pose[rows])


def test_there_and_back_loses_only_the_heels() -> None:
    pose = numbered(25)
    back = convert(convert(pose, BODY_25, BODY_23), BODY_23, BODY_25)
    kept = [j for j in range(25) if j not in (21, 24)]
    np.testing.assert_array_equal(back[kept], pose[kept])
    assert not back[[21, 24]].any()


def test_the_middle_of_the_hips_comes_from_the_hips() -> None:
    pose = numbered(18)
    pose[8], pose[11] = (10, 20, 0.9), (30, 24, 0.4)
    middle = convert(pose, COCO_18, BODY_25)[8]
    np.testing.assert_allclose(middle, (20, 22, 0.4))
    pose[11, 2] = 0
    np.testing.assert_array_equal(convert(pose, COCO_18, BODY_25)[8], (0, 0, 0))
    assert not convert(numbered(18), COCO_18, BODY_25)[19:].any()  # no feet


def test_conversion_takes_any_leading_axes() -> None:
    pose = np.stack([numbered(18), 2 * numbered(18)])[:, None]
    out = convert(pose, COCO_18, BODY_25)
    assert out.shape == (2, 1, 25, 3) and out.dtype == np.float32
    np.testing.assert_array_equal(out[1, 0], convert(pose[1, 0], COCO_18, BODY_25))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_a_mirrored_person_keeps_right_and_left(body: Skeleton) -> None:
    """Someone who faces the camera has the right side at small x; so has the mirror image."""
    pose = numbered(len(body))
    for row, joint in enumerate(body.joints):
        pose[row, 0] = 20 if joint.startswith("right_") else 80 if joint.startswith("left_") else 50
    turned = mirror(pose, 101, body)
    np.testing.assert_array_equal(turned[:, 0], pose[:, 0])
    row, twin = body.index("right_ear"), body.index("left_ear")
    assert turned[row, 1] == pose[twin, 1]


def test_mirroring_twice_changes_nothing_and_keeps_missing_joints_missing() -> None:
    pose = numbered(25)
    pose[7] = 0
    once = mirror(pose, 64, BODY_25)
    assert once[4].tolist() == [0, 0, 0]  # the left wrist was missing
    np.testing.assert_array_equal(once[1], (62, 101, 0.5))
    np.testing.assert_array_equal(mirror(once, 64, BODY_25), pose)


def test_a_symmetric_face_is_its_own_mirror_image() -> None:
    """Points of a face seen from the front, in iBUG's order: jaw, brows, eyes, mouth run from right to left."""
    x = np.zeros(70)
    x[:17] = np.arange(17) - 8
    x[17:27] = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]
    x[31:36] = np.arange(5) - 2
    x[36:48] = [-4, -3, -2, -1, -2, -3, 1, 2, 3, 4, 3, 2]
    x[48:60] = [-3, -2, -1, 0, 1, 2, 3, 2, 1, 0, -1, -2]
    x[60:68] = [-2, -1, 0, 1, 2, 1, 0, -1]
    x[68:] = [-2.5, 2.5]
    face = np.stack([x + 50, np.ones(70), np.ones(70)], -1).astype(np.float32)
    np.testing.assert_array_equal(mirror(face, 101, FACE_70), face)
    assert (FACE_70.swap != np.arange(70)).sum() == 2 * 29 + 2


def test_hands_have_five_fingers_of_four_joints() -> None:
    assert HAND_21.joints[4] == "thumb_4" and HAND_21.joints[20] == "little_4"
    assert HAND_21.limbs[:4] == ((1, 2), (2, 3), (3, 4), (0, 1))
    assert len(HAND_21.limbs) == 20


def test_unknown_names_and_counts_are_named() -> None:
    with pytest.raises(BenchError, match="no skeleton 'coco'; there are coco_18, body_23"):
        skeleton("coco")
    with pytest.raises(BenchError, match="clip: 17 body joints found, expected 18"):
        body_of(17, "clip")
    with pytest.raises(BenchError, match="coco_18 has no joint 'tail'"):
        COCO_18.index("tail")
    assert [body_of(n, "") for n in (18, 23, 25)] == list(BODIES)
