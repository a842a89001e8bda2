"""Skeletons as data: joint names in published order, limbs, colours, and which joints a mirror exchanges."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from datamodules.errors import BenchError
from datamodules.pose.palettes import BODY_23_COLOURS, BODY_25_COLOURS, COCO_18_COLOURS, HAND_COLOURS

Pair = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """What the rows of a pose array mean. Right and left are the person's own.

    Attributes:
        name: as configs spell it.
        joints: in the order of the array.
        limbs: pairs of joints, in the order in which they are drawn.
        colours: RGB of each joint, as the stick figures of Everybody Dance Now show it.
        mirrored: joints that exchange their places in a mirror image, besides those named `right_*` and `left_*`.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Pair, ...]
    colours: tuple[tuple[int, int, int], ...]
    mirrored: tuple[Pair, ...] = ()

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Row of a joint.

        Raises:
            BenchError: the skeleton has no such joint.
        """
        if joint not in self.joints:
            raise BenchError(f"the skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)

    @cached_property
    def swap(self) -> np.ndarray:
        """int64 J: row j of a mirrored pose is row `swap[j]` of the pose."""
        order = np.arange(len(self))
        for right, name in enumerate(self.joints):
            if name.startswith("right_"):
                left = self.index(name.replace("right_", "left_", 1))
                order[[right, left]] = left, right
        for a, b in self.mirrored:
            order[[a, b]] = b, a
        order.setflags(write=False)
        return order


def _limbs(text: str) -> tuple[Pair, ...]:
    """From `0-1 1-2`."""
    pairs = (limb.split("-") for limb in text.split())
    return tuple((int(a), int(b)) for a, b in pairs)


_ARMS = "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
_LEGS = "right_hip right_knee right_ankle left_hip left_knee left_ankle "
_HEAD = "right_eye left_eye right_ear left_ear "
_FEET = "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"

# Both published readers of this format name 14 and 16 the left eye and ear. They are the right ones: in pictures joint
# 14 lies on the right shoulder's side, and limb 14-16-2 joins it to the right shoulder.
COCO_18 = Skeleton(
    "coco_18",
    tuple((_ARMS + _LEGS + _HEAD).split()),
    _limbs("1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17"),
    COCO_18_COLOURS,
)

BODY_25 = Skeleton(
    "body_25",
    tuple((_ARMS + "mid_hip " + _LEGS + _HEAD + _FEET).split()),
    _limbs(
        "0-1 0-15 0-16 1-2 1-5 1-8 2-3 3-4 5-6 6-7 8-9 8-12 9-10 10-11 11-22 11-24 12-13 13-14 14-19 14-21 15-17 16-18 "
        "19-20 22-23"
    ),
    BODY_25_COLOURS,
)

# BODY_25 without the heels in an order of its own: the released data of Everybody Dance Now.
BODY_23 = Skeleton(
    "body_23",
    tuple(BODY_25.joints[i] for i in (*range(1, 12), 22, 23, 12, 13, 14, 19, 20, 0, 15, 17, 16, 18)),
    _limbs(
        "0-1 1-2 2-3 0-4 4-5 5-6 0-7 7-8 8-9 9-10 10-11 10-12 7-13 13-14 14-15 15-16 15-17 0-18 18-19 19-20 18-21 21-22"
    ),
    BODY_23_COLOURS,
)

_FACE_PARTS = (("jaw", 17), ("brow", 10), ("nose", 9), ("eye", 12), ("mouth", 20))  # iBUG's 68 points
_OPEN_LINES = ((0, 16), (17, 21), (22, 26), (27, 30), (31, 35))
_RINGS = ((36, 41), (42, 47), (48, 59), (60, 67))

# The person's right side comes first; the jaw starts at the right ear. OpenPose adds the pupils.
FACE_70 = Skeleton(
    "face_70",
    (*(f"{part}_{i}" for part, count in _FACE_PARTS for i in range(count)), "right_pupil", "left_pupil"),
    (
        *((i, i + 1) for first, last in (*_OPEN_LINES, *_RINGS) for i in range(first, last)),
        *((last, first) for first, last in _RINGS),
    ),
    ((0, 0, 0),) * 70,
    _limbs(
        "0-16 1-15 2-14 3-13 4-12 5-11 6-10 7-9 17-26 18-25 19-24 20-23 21-22 31-35 32-34 36-45 37-44 38-43 39-42 "
        "40-47 41-46 48-54 49-53 50-52 59-55 58-56 60-64 61-63 67-65"
    ),
)

# A left and a right hand have the same rows; a mirror exchanges the two arrays.
HAND_21 = Skeleton(
    "hand_21",
    ("wrist", *(f"{finger}_{i}" for finger in ["thumb", "index", "middle", "ring", "little"] for i in range(1, 5))),
    # From the finger's root to its tip, then the root to the wrist: the order in which bones overlap.
    _limbs(" ".join(f"{r}-{r + 1} {r + 1}-{r + 2} {r + 2}-{r + 3} 0-{r}" for r in (1, 5, 9, 13, 17))),
    HAND_COLOURS,
)

BODIES = (COCO_18, BODY_23, BODY_25)
SKELETONS = {s.name: s for s in (*BODIES, FACE_70, HAND_21)}


def skeleton(name: str) -> Skeleton:
    """The skeleton of that name.

    Raises:
        BenchError: there is none.
    """
    if name not in SKELETONS:
        raise BenchError(f"there is no skeleton {name!r}; there are {', '.join(SKELETONS)}")
    return SKELETONS[name]


def body_of(joints: int, where: str) -> Skeleton:
    """The body skeleton with that many joints.

    Args:
        where: file and place, for the message.

    Raises:
        BenchError: no body skeleton has as many.
    """
    for body in BODIES:
        if len(body) == joints:
            return body
    raise BenchError(
        f"{where}: {joints} body joints found, expected 18 (COCO), 23 (Everybody Dance Now) or 25 (BODY_25)"
    )
