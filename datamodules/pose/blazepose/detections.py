"""What single-shot detectors of this family put out: boxes and points relative to anchors, decoded and merged."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MERGE = 0.3  # boxes that overlap by more are one object


class Detections(NamedTuple):
    """Objects by falling score.

    Attributes:
        score: N from 0 to 1.
        box: N 4: centre x, y, width, height, from 0 to 1 across the input.
        points: N K 2 (x, y).
    """

    score: np.ndarray
    box: np.ndarray
    points: np.ndarray


def anchors(side: int, layers: Sequence[tuple[int, int]]) -> np.ndarray:
    """Middles of the cells of every layer: A 2 (x, y) from 0 to 1.

    Args:
        side: of the input.
        layers: (stride, anchors a cell), in the network's order.
    """
    out = []
    for stride, repeats in layers:
        cells = side // stride
        y, x = np.indices((cells, cells)).reshape(2, -1)
        out.append(np.repeat((np.stack([x, y], -1) + 0.5) / cells, repeats, axis=0))
    return np.concatenate(out)


def decode(boxes: np.ndarray, logits: np.ndarray, places: np.ndarray, side: int, threshold: float) -> Detections:
    """Objects above `threshold`, those that overlap merged by their scores' weight.

    Args:
        boxes: A 4 + 2 K in pixels of the input, relative to the anchors.
        logits: A.
        places: A 2, the anchors.
        side: of the input.
    """
    score = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60)))
    kept = np.flatnonzero(score >= threshold)
    kept = kept[np.argsort(-score[kept], kind="stable")]
    score, values = score[kept], boxes[kept].astype(np.float64).reshape(len(kept), boxes.shape[1] // 2, 2) / side
    values[:, 0] += places[kept]
    values[:, 2:] += places[kept, None]
    merged, scores = [], []
    while len(score):
        same = _overlap(values[0, :2], values[:, :2]) > MERGE
        same[0] = True
        merged.append(np.average(values[same], axis=0, weights=score[same]))
        scores.append(score[0])
        score, values = score[~same], values[~same]
    found = np.array(merged).reshape(-1, values.shape[1], 2)
    return Detections(np.array(scores), found[:, :2].reshape(-1, 4), found[:, 2:])


def _overlap(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (2 2: centre, size) with many."""
    low = np.maximum(one[0] - one[1] / 2, many[:, 0] - many[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, many[:, 0] + many[:, 1] / 2)
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / np.maximum(one[1].prod() + many[:, 1].prod(-1) - shared, 1e-12)
