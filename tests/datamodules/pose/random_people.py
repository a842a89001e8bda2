import numpy as np

from datamodules.pose.people import PARTS, People
from datamodules.pose.skeletons import BODY_25, Skeleton


def random_people(seed: int, frames: int, persons: int, skeleton: Skeleton = BODY_25) -> People:
    """Float32 joints somewhere in 320 x 240, one in five missing."""
    rng = np.random.default_rng(seed)
    parts = []
    for rows in (len(skeleton), 70, 21, 21):
        joints = rng.uniform((0, 0, 0.3), (320, 240, 1), (frames, persons, rows, 3))
        parts.append((joints * (rng.random((frames, persons, rows, 1)) > 0.2)).astype(np.float32))
    return People.of(skeleton, *parts)


def assert_same(ours: People, expected: People) -> None:
    assert ours.skeleton is expected.skeleton
    for part in PARTS:
        np.testing.assert_array_equal(getattr(ours, part), getattr(expected, part), err_msg=part)
