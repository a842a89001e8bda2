"""Key-points, which of them are hidden, and the box around a face."""

from functools import lru_cache

import numpy as np

from datamodules.synthetic.puppet.body import POINT, SKELETONS, holders
from datamodules.synthetic.puppet.geometry import Limbs

VISIBLE, HIDDEN, OUTSIDE = 1.0, 0.4, 0.0  # confidences
ON_SKIN = 0.03  # metres that a surface may lie before a point of the face and still show it
INSIDE = 1.25  # the same for joints, in half thicknesses of a limb that holds them: a joint lies within its limbs
FACE = 0.34  # metres, side of a face box


def hidden(xy: np.ndarray, depth: np.ndarray, limbs: Limbs, skeleton: str) -> np.ndarray:
    """Which key-points the picture does not show: bool F P J.

    A key-point lies in or on the limbs that hold it, such as both halves of an arm its elbow. It is hidden where
    another limb lies before them, and where their own surface lies before it by more than their thickness (`INSIDE`;
    for points of the face `ON_SKIN`): then it is on their far side. Where none of them is drawn at its place, it is
    hidden by any limb that is nearer than itself.

    Args:
        xy: F P J 2 pixels, depth: F P J metres, of the key-points of `skeleton`.
        limbs: F P*16.
    """
    frames, persons, joints, _ = xy.shape
    kinds = limbs.ax.shape[1] // persons

    def each(values: np.ndarray) -> np.ndarray:
        return values[:, None]  # F 1 K, against F P*J 1

    x, y = (xy[..., axis].reshape(frames, persons * joints, 1) for axis in (0, 1))
    dx, dy = x - each(limbs.ax), y - each(limbs.ay)  # F PJ K
    t = (dx * each(limbs.ux) + dy * each(limbs.uy)) / each(limbs.length)
    s = dy * each(limbs.ux) - dx * each(limbs.uy)
    within = np.clip(t, 0, 1)
    beyond = (t - within) * each(limbs.length)
    r = each(limbs.r0) + each(limbs.r1 - limbs.r0) * within
    rise2 = r * r - beyond * beyond - s * s
    rise = np.sqrt(np.maximum(rise2, 0)) * each(limbs.bulge)
    surface = each(limbs.z0) + each(limbs.z1 - limbs.z0) * within + rise
    before = np.where(rise2 > 0, surface - depth.reshape(frames, persons * joints, 1), -np.inf)
    holds, skin = _holding(skeleton, persons, kinds)  # PJ K, PJ
    held = np.where(holds, before, -np.inf)
    own, other = held.max(-1), np.where(holds, -np.inf, before).max(-1)  # F PJ
    slack = np.where(skin[:, None], np.float32(ON_SKIN), INSIDE * r * each(limbs.bulge))
    far_side = ((held > slack) & (held == own[..., None])).any(-1)
    out = np.where(np.isfinite(own), (other > own) | far_side, other > 0)
    return out.reshape(frames, persons, joints)


@lru_cache
def _holding(skeleton: str, persons: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of all limbs hold which key-point, P*J P*16, and which key-points are the face's, P*J."""
    names = SKELETONS[skeleton]
    holds = np.zeros((persons, len(names), persons * kinds), dtype=bool)
    for person in range(persons):
        for joint, name in enumerate(names):
            holds[person, joint, [person * kinds + limb for limb in holders(name)]] = True
    skin = np.array([name.endswith(("nose", "eye", "ear")) for name in names])
    return holds.reshape(-1, holds.shape[2]), np.tile(skin, persons)


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
