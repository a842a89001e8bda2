"""Key-points, which of them are hidden, and the box around a face."""

import numpy as np

from datamodules.synthetic.puppet.body import POINT, SKELETONS, holders
from datamodules.synthetic.puppet.geometry import Limbs

VISIBLE, HIDDEN, OUTSIDE = 1.0, 0.4, 0.0  # confidences
ON_SKIN = 0.03  # metres that a surface may lie before a point of the face and still show it
INSIDE = 1.25  # the same for joints, in half thicknesses of a limb that holds them: a joint lies within its limbs
FACE = 0.34  # metres, side of a face box


def hidden(xy: np.ndarray, depth: np.ndarray, limbs: Limbs, skeleton: str) -> np.ndarray:
    """Which key-points lie behind a surface: bool F P J.

    A key-point is hidden where a limb covers it that is nearer to the camera. The limbs that hold it, such as both
    halves of an arm an elbow, hide it only where they lie before it by more than their own thickness.

    Args:
        xy: F P J 2 pixels, depth: F P J metres, of the key-points of `skeleton`.
        limbs: F P*16.
    """
    frames, persons, joints, _ = xy.shape
    kinds = limbs.ax.shape[1] // persons

    def each(values: np.ndarray) -> np.ndarray:
        return values[:, None]  # F 1 K, against F P*J 1

    x, y = xy[..., 0].reshape(frames, -1, 1), xy[..., 1].reshape(frames, -1, 1)
    dx, dy = x - each(limbs.ax), y - each(limbs.ay)  # F PJ K
    t = (dx * each(limbs.ux) + dy * each(limbs.uy)) / each(limbs.length)
    s = dy * each(limbs.ux) - dx * each(limbs.uy)
    within = np.clip(t, 0, 1)
    beyond = (t - within) * each(limbs.length)
    r = each(limbs.r0) + each(limbs.r1 - limbs.r0) * within
    rise2 = r * r - beyond * beyond - s * s
    rise = np.sqrt(np.maximum(rise2, 0)) * each(limbs.bulge)
    before = each(limbs.z0) + each(limbs.z1 - limbs.z0) * within + rise - depth.reshape(frames, -1, 1)
    holds, skin = _holding(skeleton, persons, kinds)  # P J K, J
    slack = np.where(
        np.repeat(skin[None], persons, 0).reshape(-1, 1), np.float32(ON_SKIN), INSIDE * r * each(limbs.bulge)
    )
    slack = np.where(holds.reshape(persons * joints, -1), slack, np.float32(0))
    return ((rise2 > 0) & (before > slack)).any(-1).reshape(frames, persons, joints)


def _holding(skeleton: str, persons: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    names = SKELETONS[skeleton]
    holds = np.zeros((persons, len(names), persons * kinds), dtype=bool)
    for person in range(persons):
        for joint, name in enumerate(names):
            holds[person, joint, [person * kinds + limb for limb in holders(name)]] = True
    return holds, np.array([name.endswith(("nose", "eye", "ear")) for name in names])


def points_of(skeleton: str) -> np.ndarray:
    """Numbers of a skeleton's key-points among the body's points."""
    return np.array([POINT[name] for name in SKELETONS[skeleton]])


def inside(xy: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which points lie in the image."""
    x, y = xy[..., 0], xy[..., 1]
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


def face_boxes(skull: np.ndarray, scale: np.ndarray, height: int, width: int) -> np.ndarray:
    """Squares around heads, F 4: left, top, right, bottom in whole pixels (float32), moved into the image.

    Args:
        skull: F 2, pixels, the middle of the head; scale: F, pixels a metre.
    """
    side = np.minimum(np.rint(FACE * scale), min(height, width))
    low = np.rint(skull - side[:, None] / 2)
    low = np.clip(low, 0, np.array([width, height]) - side[:, None])
    return np.concatenate([low, low + side[:, None]], axis=1).astype(np.float32)
