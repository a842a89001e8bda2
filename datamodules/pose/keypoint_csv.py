"""Annotations of pose-gan and PATN: `name:keypoints_y:keypoints_x`, two lists of 18 whole numbers, y first."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.pose.skeletons import COCO_18
from datamodules.pose.textfile import read_table

HEADER = "name:keypoints_y:keypoints_x"
MISSING = -1


def read_keypoints(path: Path) -> tuple[list[str], np.ndarray]:
    """Image names in the file's order and their poses, float32 N 18 3 of COCO_18 with confidence 1 or 0.

    Raises:
        BenchError: naming the line.
    """
    rows = {}
    for number, line in read_table(path, HEADER):
        name, joints = _row(line, f"{path}, line {number}")
        if name in rows:
            raise BenchError(f"{path}, line {number}: {name} stands in the file twice")
        rows[name] = joints
    places = np.array(list(rows.values()), dtype=np.float32).reshape(-1, 2, len(COCO_18))  # N (y x) J
    there = (places != MISSING).all(1)
    pose = np.stack([places[:, 1], places[:, 0], np.ones_like(places[:, 0])], -1)
    return list(rows), np.where(there[..., None], pose, np.float32(0))


def _row(line: str, where: str) -> tuple[str, tuple[list[int], list[int]]]:
    fields = line.split(":")
    if len(fields) != 3:
        raise BenchError(f"{where}: {len(fields)} fields found, expected 3 separated by `:` as in {HEADER}")
    lists = []
    for column, field in zip(("keypoints_y", "keypoints_x"), fields[1:], strict=True):
        try:
            values = json.loads(field)
        except ValueError:
            values = None
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise BenchError(f"{where}: {column} is {field.strip()[:40]!r}, expected a list of numbers")
        if len(values) != len(COCO_18):
            raise BenchError(f"{where}: {column} has {len(values)} numbers, expected {len(COCO_18)}")
        lists.append(values)
    return fields[0].strip(), (lists[0], lists[1])


def write_keypoints(path: Path, names: Sequence[str], poses: np.ndarray) -> None:
    """Writes poses (N 18 3) rounded to pixels; the reverse of `read_keypoints` for whole numbers.

    Raises:
        BenchError: the file cannot be written.
    """
    there = poses[..., 2:] > 0
    places = np.where(there, np.rint(poses[..., :2]), MISSING).astype(int)
    rows = [
        f"{name}: {y}: {x}" for name, y, x in zip(names, places[..., 1].tolist(), places[..., 0].tolist(), strict=True)
    ]
    write_whole(path, "\n".join([HEADER, *rows]) + "\n")
