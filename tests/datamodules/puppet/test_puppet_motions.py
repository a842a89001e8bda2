import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datamodules.synthetic.puppet import motions
from datamodules.synthetic.puppet.body import JOINTS, LIMB_FROM, LIMB_TO, POINT, POINTS
from datamodules.synthetic.puppet.convert import ARRAYS, convert
from datamodules.synthetic.puppet.motions import RATE, joint_rotations, load_motions, summands

ONES = np.ones((1, 4))


def body(motion: str, seconds: float, factors: np.ndarray = ONES) -> np.ndarray:
    """J 3."""
    number = load_motions().names.index(motion)
    return load_motions().at(np.array([number]), np.array([seconds]), factors)[0][0]


@pytest.fixture(scope="module")
def published() -> Path:
    if not os.environ.get("REELBENCH_DATA"):
        pytest.skip("the motion capture files come from REELBENCH_DATA")
    return Path(os.environ["REELBENCH_DATA"]) / "mocap"


def test_the_array_holds_the_published_motions(published: Path, tmp_path: Path) -> None:
    with np.load(ARRAYS) as packed:
        arrays = dict(packed)
    assert len(arrays["names"]) == 15 and arrays["lengths"].sum() == 1620
    ends = np.cumsum(arrays["lengths"])
    for i, name in enumerate(arrays["names"]):
        source = json.loads((published / f"humanoid3d_{name}.txt").read_text())
        rows, part = np.array(source["Frames"]), slice(ends[i] - len(source["Frames"]), ends[i])
        np.testing.assert_array_equal(arrays["poses"][part], rows[:, 1:].astype(np.float16))
        np.testing.assert_allclose(np.diff(arrays["times"][part]), rows[:-1, 0], atol=1e-6)
        assert arrays["times"][part][0] == 0 and arrays["loops"][i] == (source["Loop"] == "wrap")
    convert(published, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as again:
        assert {k: v.tobytes() for k, v in again.items()} == {k: v.tobytes() for k, v in arrays.items()}


def test_the_licence_lies_beside_the_motions() -> None:
    notice = (ARRAYS.parent / "NOTICE").read_text()
    assert "provided 'as-is'" in notice and "Altered source versions must be plainly marked" in notice


def test_forward_kinematics_against_scipy() -> None:
    """Every chain from the root outwards, composed by scipy's rotations from the table's numbers."""
    rng = np.random.default_rng(0)
    angles, root, factors = rng.normal(size=(6, 40)), rng.normal(size=(6, 3)), rng.uniform(0.8, 1.2, 4)
    found = (summands(root, joint_rotations(angles)) * factors[:, None, None]).sum(1)
    for i in range(6):
        turned: dict[str, Rotation] = {}
        at = {"root": root[i] * factors[1]}
        for name, (parent, offset, group, column, columns) in JOINTS.items():
            own = angles[i, column - 4 : column - 4 + columns]
            local = Rotation.from_euler("z", own[0]) if columns == 1 else Rotation.from_quat(own, scalar_first=True)
            turned[name] = turned[parent] * local if parent else local
            if parent:
                at[name] = at[parent] + turned[parent].apply(np.array(offset) * factors[group])
        for name, (joint, offset, group) in POINTS.items():
            at[name] = at[joint] + turned[joint].apply(np.array(offset) * factors[group])
        for name, place in at.items():
            np.testing.assert_allclose(found[i, POINT[name]], place, atol=1e-12, err_msg=name)


def test_a_standing_body_has_its_right_at_positive_z_and_its_front_at_positive_x() -> None:
    upright = np.tile([1.0, 0, 0, 0], 10)
    order = [c for *_, c in JOINTS.values()]
    angles = np.concatenate([upright[:4] if columns == 4 else [0.0] for columns in order])[None]
    points = summands(np.zeros((1, 3)), joint_rotations(angles))[0].sum(0)
    assert points[POINT["right_wrist"], 2] > 0.15 and points[POINT["left_wrist"], 2] < -0.15
    assert points[POINT["nose"], 0] > 0.1 and points[POINT["right_big_toe"], 0] > 0.1
    assert points[POINT["crown"], 1] > 0.6 and points[POINT["right_heel"], 1] < -0.8


@pytest.mark.parametrize("name", load_motions().names)
def test_motions_keep_their_bones_and_their_ground(name: str) -> None:
    bank = load_motions()
    number = bank.names.index(name)
    seconds = np.linspace(0, bank.seconds[number], 400)
    points, fronts = bank.at(np.full(400, number), seconds, np.tile(ONES, (400, 1)))
    bones = np.linalg.norm(points[:, LIMB_TO] - points[:, LIMB_FROM], axis=-1)
    rigid = ~np.isin(LIMB_FROM, [POINT["pelvis"]])  # the waist bends
    np.testing.assert_allclose(bones[:, rigid], np.broadcast_to(bones[0, rigid], bones[:, rigid].shape), rtol=0.01)
    assert np.abs(np.linalg.norm(fronts, axis=-1) - 1).max() < 0.01
    assert -0.12 < points[..., 1].min() < 0.1  # something touches the ground, nothing sinks in far
    assert np.abs(points[:, POINT["root"]].mean(0)[[0, 2]]).max() < 0.02
    if bank.loops[number]:
        step = 1 / RATE
        speed = np.linalg.norm(np.diff(points, axis=0), axis=-1).max() / (seconds[1] - seconds[0])
        assert np.abs(points[0] - points[-1]).max() < max(0.002, 1.5 * speed * step)


def test_bodies_between_samples_are_blends_and_scale_with_the_person() -> None:
    a, b = (body("walk", s / RATE) for s in (7, 8))
    np.testing.assert_allclose(body("walk", 7.25 / RATE), 0.75 * a + 0.25 * b, atol=1e-6)
    long_legs = body("walk", 0.3, np.array([[1, 1.1, 1, 1.0]]))
    plain = body("walk", 0.3)
    for bone in (("right_hip", "right_knee"), ("left_knee", "left_ankle")):
        i, j = (POINT[p] for p in bone)
        ratio = np.linalg.norm(long_legs[i] - long_legs[j]) / np.linalg.norm(plain[i] - plain[j])
        assert ratio == pytest.approx(1.1, abs=1e-4)
    assert long_legs[POINT["root"], 1] == pytest.approx(1.1 * plain[POINT["root"], 1], abs=1e-5)


def test_quaternions_are_blended_along_the_shorter_arc() -> None:
    a, b = np.zeros((1, 43)), np.zeros((1, 43))
    for *_, column, columns in JOINTS.values():
        if columns == 4:
            a[0, column - 1], b[0, column - 1 : column + 3] = 1, [-np.cos(0.2), 0, 0, -np.sin(0.2)]
    half = motions._blend(a, b, np.array([0.5]))[0, 3:7]
    np.testing.assert_allclose(half / np.linalg.norm(half), [np.cos(0.1), 0, 0, np.sin(0.1)], atol=1e-12)
