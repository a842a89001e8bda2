"""Which of the detected joints become the pose: the rules of PG2's converters for raw OpenPose results."""

from typing import Literal

import numpy as np

from datamodules.errors import BenchError
from datamodules.pose.skeletons import COCO_18

Rule = Literal["market", "deepfashion"]


def choose_peaks(candidates: np.ndarray, persons: np.ndarray, rule: Rule = "market") -> np.ndarray:
    """One pose from all detections in an image.

    `market` takes the person of the largest total score, and of a joint that he has twice the last one; without a
    person, the first candidate of every joint. `deepfashion` takes the first candidate of every joint whoever's it is,
    so that poses of several people mix.

    Args:
        candidates: M 5: joint, x, y, score, the candidate's number; those of a joint in the detector's order.
        persons: P 20: numbers of 18 candidates (-1 missing), total score, number of parts.

    Returns:
        float32 18 3; the confidence is the candidate's score.

    Raises:
        BenchError: the rule is `deepfashion` and there is no person; the official converter fails there, too.
    """
    if rule == "deepfashion" and not len(persons):
        raise BenchError("no person was detected; DeepFashion's rule gives no pose then")
    last = False
    if rule == "market" and len(persons):
        best = persons[np.argmax(persons[:, -2])]  # the first of equals
        if best[-2] > -1:
            candidates = candidates[np.isin(candidates[:, 4], best[:18][best[:18] >= 0])]
            last = True
    pose = np.zeros((len(COCO_18), 3), dtype=np.float32)
    for joint, x, y, score, _ in candidates if last else candidates[::-1]:
        pose[int(joint)] = x, y, score
    return pose
