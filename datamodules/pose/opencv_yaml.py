"""OpenCV's YAML as OpenPose writes it: a file each for body, face and hands of a frame."""

import math
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import DTypeLike

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.pose.people import PARTS, People
from datamodules.pose.skeletons import BODY_25, FACE_70, HAND_21, Skeleton, body_of
from datamodules.pose.textfile import read_text

SUFFIXES = {"body": "_pose.yml", "face": "_face.yml", "hand_left": "_hand_left.yml", "hand_right": "_hand_right.yml"}
_ROWS = {"face": len(FACE_70), "hand_left": len(HAND_21), "hand_right": len(HAND_21)}
_PER_LINE = 15  # numbers, five joints


def read_matrix(path: Path) -> np.ndarray:
    """The only matrix of a file: float64 P J 3.

    Raises:
        BenchError: the file is not such a file; the message names the line.
    """
    # OpenCV's first line, `%YAML:1.0`, is no YAML directive.
    head, _, rest = read_text(path).partition("\n")
    if not head.startswith("%YAML"):
        raise BenchError(f"{path}, line 1: {head[:40]!r} found, expected OpenCV's `%YAML:1.0`")
    try:
        root = yaml.compose(f"\n{rest}", Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise BenchError(f"{path}, line {line}: not YAML ({error.problem}); is the file complete?") from error
    if not isinstance(root, yaml.MappingNode) or len(root.value) != 1:
        raise BenchError(f"{path}: expected one matrix, such as `pose_0: !!opencv-nd-matrix`")
    return _matrix(path, root.value[0][1])


def _matrix(path: Path, node: yaml.Node) -> np.ndarray:
    where = f"{path}, line {node.start_mark.line + 1}"
    fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    sizes, data = fields.get("sizes"), fields.get("data")
    if not isinstance(sizes, yaml.SequenceNode) or not isinstance(data, yaml.SequenceNode):
        raise BenchError(f"{where}: a matrix needs `sizes` and `data`")
    shape = [_number(path, size) for size in sizes.value]
    numbers = [_number(path, number) for number in data.value]
    if not numbers and 0 in shape:
        return np.zeros((0, 0, 3))
    if len(shape) != 3 or shape[2] != 3 or math.prod(shape) != len(numbers):
        described = " x ".join(f"{size:g}" for size in shape)
        raise BenchError(f"{where}: sizes {described} with {len(numbers)} numbers found, expected persons x joints x 3")
    return np.reshape(numbers, [int(size) for size in shape])


def _number(path: Path, node: yaml.Node) -> float:
    try:
        value = float(node.value)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise BenchError(f"{path}, line {node.start_mark.line + 1}: {node.value!r} found, expected a number")
    return value


def read_yaml(stem: Path, skeleton: Skeleton | None = None, dtype: DTypeLike = np.float32) -> People:
    """The people of one frame, T = 1.

    Args:
        stem: the path without `_pose.yml`. Files of faces and hands may be absent.
        skeleton: the body expected; None takes 18, 23 or 25 joints as they are found, and BODY_25 where there is no
            person.
        dtype: float64 keeps the decimals, as the official code does: in float32 a limb at exactly 45 degrees may be
            drawn at 44.

    Raises:
        BenchError: a file is broken, or its parts do not fit together.
    """
    files = {part: stem.with_name(stem.name + suffix) for part, suffix in SUFFIXES.items()}
    body = read_matrix(files["body"])
    found = body_of(body.shape[1], str(files["body"])) if len(body) else skeleton or BODY_25
    if skeleton is not None and found is not skeleton:
        raise BenchError(f"{files['body']}: the body is {found.name}, expected {skeleton.name}")
    arrays = {}
    for part in PARTS:
        shape = (len(body), len(found) if part == "body" else _ROWS[part], 3)
        matrix = np.zeros(shape) if not len(body) or not files[part].exists() else read_matrix(files[part])
        if matrix.shape != shape:
            raise BenchError(f"{files[part]}: persons x joints x 3 is {matrix.shape}, expected {shape}")
        arrays[part] = matrix[None].astype(dtype)
    return People.of(found, **arrays)


def write_yaml(stem: Path, people: People) -> None:
    """One frame (T = 1) as four files.

    Raises:
        BenchError: a file cannot be written.
        ValueError: there is not one frame.
    """
    if people.frames != 1:
        raise ValueError(f"one set of files holds one frame, found {people.frames}")
    for part, suffix in SUFFIXES.items():
        joints = getattr(people, part)[0]
        numbers = [f"{value:.9e}" if value else "0." for value in joints.reshape(-1).tolist()]
        lines = [", ".join(numbers[i : i + _PER_LINE]) for i in range(0, len(numbers), _PER_LINE)]
        name = suffix.removeprefix("_").removesuffix(".yml")
        sizes = ", ".join(map(str, joints.shape))
        matrix = f"%YAML:1.0\n{name}_0: !!opencv-nd-matrix\n   sizes: [ {sizes} ]\n   dt: f\n   data: [ "
        write_whole(stem.with_name(stem.name + suffix), matrix + ",\n       ".join(lines) + " ]\n")
