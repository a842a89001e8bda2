"""The puppet's body as tables: joints, points on the skeleton, sixteen tapered limbs, labels, key-point orders.

Body frame: x forward, y up, z to the person's right, metres. Lengths are those of the humanoid that the motion capture
was fitted to (DeepMimic), radii are ours.
"""

import numpy as np

ARM, LEG, TORSO, FIXED = range(4)  # which of an identity's length factors scales an offset; FIXED is never scaled
GROUPS = 4

# joint: (parent, offset in the parent's frame, length group, first column of its rotation, columns: 4 wxyz or 1 angle)
JOINTS: dict[str, tuple[str, tuple[float, float, float], int, int, int]] = {
    "root": ("", (0, 0, 0), LEG, 4, 4),
    "chest": ("root", (0, 0.236, 0), TORSO, 8, 4),
    "neck": ("chest", (0, 0.224, 0), TORSO, 12, 4),
    "right_hip": ("root", (0, 0, 0.085), FIXED, 16, 4),
    "right_knee": ("right_hip", (0, -0.4215, 0), LEG, 20, 1),
    "right_ankle": ("right_knee", (0, -0.41, 0), LEG, 21, 4),
    "right_shoulder": ("chest", (-0.024, 0.2435, 0.183), TORSO, 25, 4),
    "right_elbow": ("right_shoulder", (0, -0.275, 0), ARM, 29, 1),
    "left_hip": ("root", (0, 0, -0.085), FIXED, 30, 4),
    "left_knee": ("left_hip", (0, -0.4215, 0), LEG, 34, 1),
    "left_ankle": ("left_knee", (0, -0.41, 0), LEG, 35, 4),
    "left_shoulder": ("chest", (-0.024, 0.2435, -0.183), TORSO, 39, 4),
    "left_elbow": ("left_shoulder", (0, -0.275, 0), ARM, 43, 1),
}

# Points fixed to a joint: (joint, offset in its frame, length group). `*` stands for the side, z for its sign.
_CENTRE = {
    "jaw": ("neck", (0.025, 0.085, 0), FIXED),
    "skull": ("neck", (0.02, 0.165, 0), FIXED),
    "hair": ("neck", (-0.04, 0.18, 0), FIXED),
    "crown": ("neck", (-0.032, 0.225, 0), FIXED),
    "nose": ("neck", (0.127, 0.155, 0), FIXED),
    "collar": ("chest", (-0.015, 0.235, 0), TORSO),
    "pelvis": ("root", (0, -0.03, 0), FIXED),
    "waist": ("chest", (0, 0.03, 0), TORSO),
    "breast": ("chest", (-0.012, 0.165, 0), TORSO),
    "mid_hip": ("root", (0, 0, 0), FIXED),
}
_SIDED = {
    "eye": ("neck", (0.112, 0.19, 0.038), FIXED),
    "ear": ("neck", (0.01, 0.17, 0.105), FIXED),
    "wrist": ("*_elbow", (0, -0.25, 0), ARM),
    "fingers": ("*_elbow", (0, -0.335, 0), ARM),
    "instep": ("*_ankle", (0.13, -0.052, 0), FIXED),
    "heel": ("*_ankle", (-0.045, -0.052, 0), FIXED),
    "big_toe": ("*_ankle", (0.155, -0.055, -0.015), FIXED),
    "small_toe": ("*_ankle", (0.135, -0.06, 0.025), FIXED),
}
POINTS: dict[str, tuple[str, tuple[float, float, float], int]] = _CENTRE | {
    f"{side}_{name}": (joint.replace("*", side), (x, y, sign * z), group)
    for side, sign in (("right", 1), ("left", -1))
    for name, (joint, (x, y, z), group) in _SIDED.items()
}
POINT = {name: i for i, name in enumerate((*JOINTS, *POINTS))}

# The order of DensePose's 14 coarse parts as recalled, not checked against its files; 0 is the background.
LABELS = (
    "background",
    "torso",
    "right_hand",
    "left_hand",
    "left_foot",
    "right_foot",
    "right_upper_leg",
    "left_upper_leg",
    "right_lower_leg",
    "left_lower_leg",
    "left_upper_arm",
    "right_upper_arm",
    "left_lower_arm",
    "right_lower_arm",
    "head",
)


def other_side(name: str) -> str:
    """The left one of a right part, and the other way round; of the middle itself."""
    side, _, part = name.partition("_")
    return {"right": f"left_{part}", "left": f"right_{part}"}.get(side, name)


OTHER_SIDE = [LABELS.index(other_side(label)) for label in LABELS]  # what a mirror makes of each label

# limb: (from, to, radius there, radius there, depth / width, joint that it turns with, label)
_LIMBS: dict[str, tuple[str, str, float, float, float, str, str]] = {
    "face": ("jaw", "skull", 0.082, 0.11, 1.0, "neck", "head"),
    "chest": ("waist", "breast", 0.128, 0.15, 0.68, "chest", "torso"),
    "belly": ("pelvis", "waist", 0.135, 0.122, 0.75, "root", "torso"),
    "hair": ("hair", "crown", 0.104, 0.096, 1.0, "neck", "head"),
}
_SIDED_LIMBS = {
    "upper_arm": ("*_shoulder", "*_elbow", 0.064, 0.045, 1.0, "*_shoulder", "*_upper_arm"),
    "lower_arm": ("*_elbow", "*_wrist", 0.045, 0.034, 1.0, "*_elbow", "*_lower_arm"),
    "hand": ("*_wrist", "*_fingers", 0.037, 0.03, 0.8, "*_elbow", "*_hand"),
    "thigh": ("*_hip", "*_knee", 0.09, 0.062, 1.0, "*_hip", "*_upper_leg"),
    "shin": ("*_knee", "*_ankle", 0.062, 0.042, 1.0, "*_knee", "*_lower_leg"),
    "foot": ("*_heel", "*_instep", 0.042, 0.036, 1.0, "*_ankle", "*_foot"),
}
LIMBS = _LIMBS | {
    f"{side}_{name}": (*(x.replace("*", side) if isinstance(x, str) else x for x in limb),)
    for side in ("right", "left")
    for name, limb in _SIDED_LIMBS.items()
}
LIMB = {name: i for i, name in enumerate(LIMBS)}

LIMB_FROM = np.array([POINT[str(limb[0])] for limb in LIMBS.values()])
LIMB_TO = np.array([POINT[str(limb[1])] for limb in LIMBS.values()])
LIMB_RADII = np.array([limb[2:4] for limb in LIMBS.values()], dtype=np.float32)
LIMB_FLATNESS = np.array([limb[4] for limb in LIMBS.values()], dtype=np.float32)


def _standing() -> np.ndarray:
    """Points with all joints straight, N 3, metres."""
    at: dict[str, np.ndarray] = {"": np.zeros(3)}
    for name, (parent, offset, *_) in (JOINTS | POINTS).items():
        at[name] = at[parent] + np.array(offset, dtype=np.float64)
    return np.stack([at[name] for name in POINT])


LIMB_LENGTH = np.linalg.norm(_standing()[LIMB_TO] - _standing()[LIMB_FROM], axis=1)  # metres, of nobody in particular
LIMB_JOINT = [list(JOINTS).index(str(limb[5])) for limb in LIMBS.values()]
LIMB_LABEL = np.array([LABELS.index(str(limb[6])) for limb in LIMBS.values()], dtype=np.uint8)
# Where a limb's front is, in its joint's frame: the side that shows a face, a chest, a kneecap; of feet the instep.
LIMB_FRONT = np.array([(0, 1, 0) if "foot" in name else (1, 0, 0) for name in LIMBS], dtype=np.float64)

_ARMS = [f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")]
_RIGHT_LEG, _LEFT_LEG = ["right_hip", "right_knee", "right_ankle"], ["left_hip", "left_knee", "left_ankle"]
_FACE = ["right_eye", "left_eye", "right_ear", "left_ear"]
_FEET = [f"{side}_{point}" for side in ("left", "right") for point in ("big_toe", "small_toe", "heel")]
# The names are the puppet's points; the orders are OpenPose's.
SKELETONS: dict[str, list[str]] = {
    "openpose18": ["nose", "collar", *_ARMS, *_RIGHT_LEG, *_LEFT_LEG, *_FACE],
    "body25": ["nose", "collar", *_ARMS, "mid_hip", *_RIGHT_LEG, *_LEFT_LEG, *_FACE, *_FEET],
}

# The limbs that a key-point lies in: their own surface hides it only where it lies behind them.
_HOLDERS = {
    "nose": ("face",),
    "eye": ("face",),
    "ear": ("face", "hair"),
    "collar": ("chest", "face"),
    "shoulder": ("*_upper_arm",),
    "elbow": ("*_upper_arm", "*_lower_arm"),
    "wrist": ("*_lower_arm", "*_hand"),
    "mid_hip": ("belly",),
    "hip": ("*_thigh", "belly"),
    "knee": ("*_thigh", "*_shin"),
    "ankle": ("*_shin", "*_foot"),
    "big_toe": ("*_foot",),
    "small_toe": ("*_foot",),
    "heel": ("*_foot", "*_shin"),
}


def holders(point: str) -> list[int]:
    """Numbers of the limbs that hold a key-point."""
    side, _, name = point.partition("_")
    sided = side in ("right", "left")
    return [LIMB[limb.replace("*", side)] for limb in _HOLDERS[name if sided else point]]
