"""OpenPose's JSON: one file a frame, `people[]` with flat lists x, y, confidence for body, face and hands."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.pose.people import PARTS, People
from datamodules.pose.skeletons import BODY_25, FACE_70, HAND_21, Skeleton, body_of
from datamodules.pose.textfile import read_text

# `_2d` since OpenPose 1.2; older files lack it.
_KEYS = {
    "body": "pose_keypoints",
    "face": "face_keypoints",
    "hand_left": "hand_left_keypoints",
    "hand_right": "hand_right_keypoints",
}
_ROWS = {"face": len(FACE_70), "hand_left": len(HAND_21), "hand_right": len(HAND_21)}


def read_openpose(path: Path, skeleton: Skeleton | None = None, dtype: DTypeLike = np.float32) -> People:
    """The people of one frame, T = 1. Persons whose list is empty have a missing body.

    Args:
        skeleton: the body expected; None takes 18, 23 or 25 joints as they are found, and BODY_25 where there is no
            body.

    Raises:
        BenchError: the file is not such a file; the message says where.
    """
    persons = _people(path)
    lists = [
        {part: _numbers(person, part, f"{path}, people[{i}]") for part in PARTS} for i, person in enumerate(persons)
    ]
    lengths = {len(person["body"]) // 3 for person in lists if person["body"]}
    if len(lengths) > 1:
        raise BenchError(f"{path}: bodies of {sorted(lengths)} joints in one file")
    found = body_of(lengths.pop(), str(path)) if lengths else skeleton or BODY_25
    if skeleton is not None and found is not skeleton:
        raise BenchError(f"{path}: the body is {found.name}, expected {skeleton.name}")
    arrays = {}
    for part in PARTS:
        rows = len(found) if part == "body" else _ROWS[part]
        arrays[part] = np.zeros((1, len(persons), rows, 3), dtype=dtype)
        for i, person in enumerate(lists):
            if person[part] and len(person[part]) != 3 * rows:
                joints = len(person[part]) / 3
                raise BenchError(f"{path}, people[{i}].{_KEYS[part]}_2d: {joints:g} joints found, expected {rows}")
            if person[part]:
                arrays[part][0, i] = np.reshape(person[part], (rows, 3))
    return People.of(found, **arrays)


def _people(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BenchError(f"{path}, line {error.lineno}: not JSON ({error.msg}); is the file complete?") from error
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise BenchError(f"{path}: no list of objects `people`; is it OpenPose's JSON?")
    return people


def _numbers(person: Mapping[str, Any], part: str, where: str) -> list[float]:
    """The flat list of a part; [] where it is missing."""
    key = _KEYS[part]
    key = key if key in person else f"{key}_2d"
    values = person.get(key) or []
    if not isinstance(values, list) or len(values) % 3:
        found = f"{len(values)} numbers" if isinstance(values, list) else repr(values)
        raise BenchError(f"{where}.{key}: {found} found, expected a list of x, y, confidence for each joint")
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BenchError(f"{where}.{key}[{at}]: {value!r} found, expected a number")
    return values


def write_openpose(path: Path, people: People) -> None:
    """One frame (T = 1) as OpenPose writes it; missing persons are left out.

    Raises:
        BenchError: the file cannot be written.
        ValueError: there is not one frame.
    """
    if people.frames != 1:
        raise ValueError(f"one file holds one frame, found {people.frames}")
    persons = []
    for i in range(people.persons):
        lists = {part: getattr(people, part)[0, i] for part in PARTS}
        if any(joints[:, 2].any() for joints in lists.values()):
            persons.append({f"{_KEYS[part]}_2d": joints.reshape(-1).tolist() for part, joints in lists.items()})
    write_whole(path, json.dumps({"version": 1.3, "people": persons}))
