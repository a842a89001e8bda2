"""Fifteen captured motions as joint positions in time: forward kinematics once, then linear blending."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datamodules.synthetic.puppet.body import GROUPS, JOINTS, LEG, LIMB_FRONT, LIMB_JOINT, POINT, POINTS
from datamodules.synthetic.puppet.convert import ARRAYS

RATE = 120.0  # samples per second; blending linearly between them shortens no limb by more than 0.2 %
CLOSING = 0.25  # seconds; the captured loops end up to 0.3 m away from where they start


@dataclass(frozen=True)
class Motions:
    """All motions, sampled at `RATE` and laid end to end.

    Positions are linear in an identity's length factors (arm, leg, torso, 1), so the four summands are kept. They are
    relative to a body that moves with the motion's mean horizontal velocity and whose mean place is the origin.

    Attributes:
        names: M.
        first: M, sample at which each starts.
        seconds: M, from its first pose to its last.
        loops: M, bool: the last pose is the first again, led there in the last `CLOSING` seconds; others are played
            forth and back.
        velocity: M 2, metres per second along x and z, for legs of factor 1.
        points: N 4 J 3, metres: body.POINT in body axes.
        fronts: N 16 3: where the limbs' fronts point.
    """

    names: tuple[str, ...]
    first: np.ndarray
    seconds: np.ndarray
    loops: np.ndarray
    velocity: np.ndarray
    points: np.ndarray
    fronts: np.ndarray

    def at(self, motion: np.ndarray, seconds: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points F J 3 and fronts F 16 3 of F bodies with length `factors` F 4, `seconds` F into their `motion` F."""
        place = seconds * RATE
        sample = np.floor(place).astype(np.int64)
        weight = (place - sample).astype(np.float32)
        sample += self.first[motion]
        near = (1 - weight)[:, None] * factors.astype(np.float32)  # F 4
        far = weight[:, None] * factors.astype(np.float32)
        a, b = self.points[sample], self.points[sample + 1]
        points = a[:, 0] * near[:, 0, None, None]
        for group in range(GROUPS):
            if group:
                points += a[:, group] * near[:, group, None, None]
            points += b[:, group] * far[:, group, None, None]
        blend = weight[:, None, None]
        return points, self.fronts[sample] * (1 - blend) + self.fronts[sample + 1] * blend


@lru_cache(maxsize=1)
def load_motions() -> Motions:
    """The motions of this package, 0.1 s of work in the first call."""
    with np.load(ARRAYS) as packed:
        arrays = dict(packed)
    ends = np.cumsum(arrays["lengths"])
    poses, times = np.split(arrays["poses"].astype(np.float64), ends[:-1]), np.split(arrays["times"], ends[:-1])
    tracks = [
        _resample(pose, time.astype(np.float64), bool(loop))
        for pose, time, loop in zip(poses, times, arrays["loops"], strict=True)
    ]
    seconds = np.array([float(time[-1]) for time in times])
    velocity = np.array([(pose[-1, [0, 2]] - pose[0, [0, 2]]) / s for pose, s in zip(poses, seconds, strict=True)])
    still = []
    for track, v in zip(tracks, velocity, strict=True):
        root = track[:, :3].copy()
        root[:, [0, 2]] -= v * (np.arange(len(root)) / RATE)[:, None]
        root[:, [0, 2]] -= root[:, [0, 2]].mean(0)
        still.append(root)
    samples = np.array([len(track) for track in tracks])
    rotations = joint_rotations(np.concatenate(tracks)[:, 3:])
    return Motions(
        names=tuple(str(name) for name in arrays["names"]),
        first=np.cumsum(samples) - samples,
        seconds=seconds,
        loops=arrays["loops"],
        velocity=velocity,
        points=summands(np.concatenate(still), rotations).astype(np.float32),
        fronts=np.einsum("nlij,lj->nli", rotations[:, LIMB_JOINT], LIMB_FRONT).astype(np.float32),
    )


def joint_rotations(angles: np.ndarray) -> np.ndarray:
    """N 40 numbers of `JOINTS` (w x y z quaternions, or an angle about z) -> body-axes rotations N 13 3 3."""
    out: dict[str, np.ndarray] = {}
    for name, (parent, _, _, column, columns) in JOINTS.items():
        own = angles[:, column - 4 : column - 4 + columns]  # the table counts from the row's first number
        if columns == 1:
            half = own / 2
            own = np.concatenate([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
        local = _matrix(own)
        out[name] = out[parent] @ local if parent else local
    return np.stack(list(out.values()), axis=1)


def summands(root: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Forward kinematics: root N 3, rotations N 13 3 3 -> N 4 J 3; weighted by length factors and summed, a body."""
    names = list(JOINTS)
    out = np.zeros((len(root), GROUPS, len(POINT), 3))
    out[:, LEG, POINT["root"]] = root  # longer legs carry it higher, and further
    for name, (parent, offset, group) in {**{n: (p, o, g) for n, (p, o, g, *_) in JOINTS.items()}, **POINTS}.items():
        if parent:
            out[:, :, POINT[name]] = out[:, :, POINT[parent]]
            out[:, group, POINT[name]] += rotations[:, names.index(parent)] @ np.array(offset, dtype=np.float64)
    return out


def _resample(poses: np.ndarray, times: np.ndarray, loop: bool) -> np.ndarray:
    """Poses (root, rotations) at `RATE`, one sample more than the motion has: blending may read it with weight 0."""
    at = np.minimum(np.arange(int(np.floor(times[-1] * RATE)) + 2) / RATE, times[-1])
    before = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    out = _blend(poses[before], poses[before + 1], (at - times[before]) / (times[before + 1] - times[before]))
    if not loop:
        return out
    weight = np.clip((at - times[-1]) / CLOSING + 1, 0, 1)
    closed = _blend(out, np.broadcast_to(out[0], out.shape), weight**2 * (3 - 2 * weight))
    closed[:, [0, 2]] = out[:, [0, 2]]  # where a loop goes is not where it started
    return closed


def _blend(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """From a (weight 0) to b (weight 1), N 43; quaternions along the shorter arc, not of unit length."""
    b = b.copy()
    for _, _, _, column, columns in JOINTS.values():
        if columns == 4:  # q and -q are one rotation
            quaternion = slice(column - 1, column + 3)
            flip = (a[:, quaternion] * b[:, quaternion]).sum(1) < 0
            b[flip, quaternion] *= -1
    return a * (1 - weight)[:, None] + b * weight[:, None]


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """N 4 (w x y z, any length) -> rotation matrices N 3 3."""
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)
