"""Face boxes of Everybody Dance Now: 128 x 128 pixels of the 1024 x 512 label around the nose, for its face network."""

from pathlib import Path

import numpy as np

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.pose.convert import midway
from datamodules.pose.skeletons import Skeleton
from datamodules.pose.stick_edn import CANVAS, LABEL
from datamodules.pose.textfile import read_text

MARGIN = 70  # pixels of the canvas on each side of the nose; the box's middle comes from its rounded-down edges
SIDE = 128


def face_boxes(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Boxes in label pixels: int64 T 4 (y from, y to, x from, x to), all zero where no head is seen.

    The middle is the nose, or else that of the ears. A box that would reach beyond the label is moved inside.

    Args:
        poses: T J 3 in the canvas of 1920 x 1080, as `stick_edn.fit_to` gives them.
    """
    nose = poses[:, skeleton.index("nose")].astype(np.float64)
    ears = midway(*(poses[:, skeleton.index(f"{side}_ear")].astype(np.float64) for side in ("right", "left")))
    head = np.where(nose[:, 2:] > 0, nose, ears)
    boxes = np.zeros((len(poses), 4), dtype=np.int64)
    for axis, column in ((1, 0), (0, 2)):  # y, x
        canvas, label = CANVAS[1 - axis], LABEL[1 - axis]
        scale = label / canvas
        first, last = (((head[:, axis] + margin) * scale).astype(np.int64) for margin in (-MARGIN, MARGIN))
        start = np.clip(first + (last - first) // 2 - SIDE // 2, 0, label - SIDE)
        boxes[:, column], boxes[:, column + 1] = start, start + SIDE
    return np.where(head[:, 2:] > 0, boxes, 0)


def read_face_box(path: Path) -> np.ndarray:
    """int64 4 of a file of `*_facetexts128`: `y from, y to, x from, x to`, separated by blanks.

    Raises:
        BenchError: the file holds something else.
    """
    text = read_text(path)
    fields = text.split()
    if len(fields) != 4 or not all(field.lstrip("-").isdigit() for field in fields):
        raise BenchError(f"{path}: {text[:40]!r} found, expected four whole numbers: miny maxy minx maxx")
    return np.array(fields, dtype=np.int64)


def write_face_box(path: Path, box: np.ndarray) -> None:
    """The reverse of `read_face_box`; raises `BenchError` where the file cannot be written."""
    write_whole(path, " ".join(str(int(edge)) for edge in box))
