import numpy as np
import pytest

from datamodules.synthetic.puppet.body import LABELS, LIMBS, POINT, SKELETONS, holders
from datamodules.synthetic.puppet.geometry import project
from datamodules.synthetic.puppet.keypoints import face_boxes, hidden, points_of
from datamodules.synthetic.puppet.store import PuppetStore
from tests.datamodules.puppet.puppet_scenes import as_floats, bodies, cameras, seen

OPENPOSE18 = "nose neck rsho relb rwri lsho lelb lwri rhip rkne rank lhip lkne lank reye leye rear lear"
BODY25 = (
    "nose neck rsho relb rwri lsho lelb lwri mhip rhip rkne rank lhip lkne lank reye leye rear lear "
    "lbig lsmall lheel rbig rsmall rheel"
)


@pytest.mark.parametrize(("name", "order"), [("openpose18", OPENPOSE18), ("body25", BODY25)])
def test_key_points_are_in_openposes_order(name: str, order: str) -> None:
    def short(point: str) -> str:
        if point in ("nose", "collar", "mid_hip"):
            return {"nose": "nose", "collar": "neck", "mid_hip": "mhip"}[point]
        side, _, rest = point.partition("_")
        kinds = {"eye": "eye", "ear": "ear", "big_toe": "big", "small_toe": "small", "heel": "heel"}
        return side[0] + kinds.get(rest, rest[:3])

    assert [short(point) for point in SKELETONS[name]] == order.split()


def labels_of(point: str) -> list[int]:
    """Labels of the limbs that hold a key-point."""
    return sorted({LABELS.index(str(LIMBS[list(LIMBS)[limb]][6])) for limb in holders(point)})


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
@pytest.mark.parametrize("yaw", range(0, 360, 45))
def test_key_points_lie_in_their_own_part(skeleton: str, yaw: int) -> None:
    store = PuppetStore("train", 60, size=(128, 128), skeleton=skeleton, yaw=(yaw, yaw + 45), identities=(12, 1, 1))
    keys = frozenset({"pose", "labels", "visible"})
    truth = store.tracks(np.arange(60), np.tile([0, 9, 21], (60, 1)), keys)
    exact, near, total = 0, 0, 0
    for joint, name in enumerate(SKELETONS[skeleton]):
        own = labels_of(name)
        for clip, t in np.argwhere(truth["visible"][:, 0, :, joint]):
            x, y = truth["pose"][clip, 0, t, joint, :2].astype(int)
            around = truth["labels"][clip, t, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            near, total = near + bool(np.isin(around, own).any()), total + 1
            # Points of the face and of the sole lie on the surface, so often just outside an outline.
            on_surface = name.endswith(("nose", "eye", "ear", "toe", "heel"))
            exact += bool(on_surface or truth["labels"][clip, t, y, x] in own)
    assert total > 1500 and near / total > 0.997 and exact / total > 0.99, (exact / total, near / total)


def test_hidden_points_are_those_behind_a_limb() -> None:
    """Each key-point against each limb, one at a time, in float64."""
    count, size = 40, 128
    points, _ = bodies(count)
    camera, drawn = cameras(count, size, size), seen(count, size, size)
    names = SKELETONS["body25"]
    xy, depth = project(points[:, points_of("body25")], camera)
    found = hidden(xy[:, None], depth[:, None], drawn, "body25")[:, 0]
    p = as_floats(drawn)
    wrong = 0
    for frame in range(count):
        for joint, name in enumerate(names):
            own, other, far_side = -np.inf, -np.inf, False
            for limb in range(16):
                q = {key: values[frame, limb] for key, values in p.items()}
                axis = np.array([q["ux"], q["uy"]]) * q["length"]
                to = xy[frame, joint].astype(float) - [q["ax"], q["ay"]]
                t = min(max(to @ axis / (axis @ axis), 0), 1)
                radius, off = q["r0"] + (q["r1"] - q["r0"]) * t, np.linalg.norm(to - t * axis)
                if off >= radius:
                    continue
                surface = q["z0"] + (q["z1"] - q["z0"]) * t + np.sqrt(radius**2 - off**2) * q["bulge"]
                before = surface - depth[frame, joint]
                if limb not in holders(name):
                    other = max(other, before)
                elif before > own:
                    on_skin = name.endswith(("nose", "eye", "ear"))
                    own, far_side = before, before > (0.03 if on_skin else 1.25 * radius * q["bulge"])
            behind = other > own or far_side if np.isfinite(own) else other > 0
            wrong += behind != found[frame, joint]
    assert 0.1 < found.mean() < 0.6 and wrong <= 1


def test_what_is_hidden_is_not_in_the_picture() -> None:
    """Against the label map of a fine picture: away from outlines a hidden joint's pixel shows a nearer surface, of
    another part, or of its own seen from the far side.
    """
    store = PuppetStore("train", 40, size=(256, 256), identities=(12, 1, 1))
    truth = store.tracks(np.arange(40), np.full((40, 1), 5), frozenset({"pose", "labels", "occluded", "visible"}))
    names = SKELETONS["openpose18"]
    hidden_elsewhere, hidden_all, seen_elsewhere, seen_all = 0, 0, 0, 0
    for joint, name in enumerate(names):
        if name.endswith(("nose", "eye", "ear", "hip", "collar", "ankle")):  # their own part hides these too
            continue
        for clip in range(40):
            x, y = np.clip(truth["pose"][clip, 0, 0, joint, :2].astype(int), 0, 255)
            elsewhere = truth["labels"][clip, 0, y, x] not in labels_of(name)
            if truth["occluded"][clip, 0, 0, joint]:
                hidden_all, hidden_elsewhere = hidden_all + 1, hidden_elsewhere + elsewhere
            elif truth["visible"][clip, 0, 0, joint]:
                seen_all, seen_elsewhere = seen_all + 1, seen_elsewhere + elsewhere
    assert hidden_all > 40 and hidden_elsewhere / hidden_all > 0.97, (hidden_elsewhere, hidden_all)
    assert seen_all > 200 and seen_elsewhere == 0, (seen_elsewhere, seen_all)


@pytest.mark.parametrize(
    ("yaw", "shown", "not_shown"),
    [
        (0, "nose right_eye left_eye", ""),
        (90, "right_eye right_ear", "left_ear left_eye"),
        (180, "", "nose right_eye left_eye"),
        (270, "left_eye left_ear", "right_ear right_eye"),
    ],
)
def test_faces_are_seen_from_the_front_only(yaw: int, shown: str, not_shown: str) -> None:
    store = PuppetStore("train", 12, motions=["walk"], yaw=(yaw, yaw + 1), identities=(12, 1, 1))
    visible = store.tracks(np.arange(12), np.tile([0, 4, 8], (12, 1)), frozenset({"visible"}))["visible"][:, 0]
    names = SKELETONS["openpose18"]
    assert all(visible[..., names.index(name)].mean() > 0.9 for name in shown.split())
    assert all(visible[..., names.index(name)].mean() < 0.1 for name in not_shown.split())


@pytest.mark.parametrize("yaw", range(0, 360, 15))
def test_left_and_right_under_every_yaw(yaw: int) -> None:
    """A walker's right shoulder is at the image's left when he faces the camera, and nearer when he walks right."""
    store = PuppetStore("train", 8, motions=["walk"], yaw=(yaw, yaw + 1), identities=(12, 1, 1))
    pose = store.tracks(np.arange(8), np.tile([0, 4, 8], (8, 1)), frozenset({"pose"}))["pose"][:, 0]
    names = SKELETONS["openpose18"]
    across = pose[..., names.index("right_hip"), 0] - pose[..., names.index("left_hip"), 0]
    if abs(np.cos(np.deg2rad(yaw))) > 0.3:
        assert (np.sign(across) == -np.sign(np.cos(np.deg2rad(yaw)))).all()
    ahead = pose[..., names.index("nose"), 0] - pose[..., names.index("collar"), 0]
    if abs(np.sin(np.deg2rad(yaw))) > 0.5:
        assert (np.sign(ahead) == np.sign(np.sin(np.deg2rad(yaw)))).all()


def test_confidence_tells_seen_hidden_and_outside() -> None:
    store = PuppetStore("train", 80, size=(64, 32), identities=(12, 1, 1))
    keys = frozenset({"pose", "visible", "occluded"})
    truth = store.tracks(np.arange(80), np.tile([0, 5], (80, 1)), keys)
    x, y, sure = np.moveaxis(truth["pose"], -1, 0)
    inside = (x >= 0) & (x < 32) & (y >= 0) & (y < 64)
    assert 0.02 < (~inside).mean() < 0.4
    np.testing.assert_array_equal(sure > 0, inside)
    np.testing.assert_array_equal(sure == 1, truth["visible"] == 1)
    np.testing.assert_array_equal(sure == np.float32(0.4), truth["occluded"] == 1)
    np.testing.assert_array_equal(truth["visible"] + truth["occluded"], inside)


def test_face_boxes_hold_the_head_and_stay_in_the_image() -> None:
    skull = np.array([[30.0, 20.0], [1.0, 2.0], [63.0, 70.0]])
    np.testing.assert_array_equal(
        face_boxes(skull, np.full(3, 30.0), 64, 64), [[25, 15, 35, 25], [0, 0, 10, 10], [54, 54, 64, 64]]
    )
    store = PuppetStore("train", 30, size=(128, 128), identities=(12, 1, 1), motions=["walk", "dance_b", "punch"])
    truth = store.tracks(np.arange(30), np.full((30, 1), 2), frozenset({"face_box", "labels", "pose"}))
    for box, labels, pose in zip(truth["face_box"][:, 0], truth["labels"][:, 0], truth["pose"][:, 0, 0], strict=True):
        left, top, right, bottom = box.astype(int)
        assert right - left == bottom - top
        head = labels == LABELS.index("head")
        if head.sum() > 50:
            assert head[top:bottom, left:right].sum() / head.sum() > 0.85
        assert left <= pose[0, 0] <= right and top <= pose[0, 1] <= bottom  # the nose


def test_every_point_has_limbs_that_hold_it() -> None:
    for names in SKELETONS.values():
        assert all(holders(name) and name in POINT for name in names)
