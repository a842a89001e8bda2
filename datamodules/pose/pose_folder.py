"""A folder of key-point files, one frame each, in OpenPose's JSON or OpenCV's YAML."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from datamodules.errors import BenchError
from datamodules.pose.opencv_yaml import SUFFIXES, read_yaml
from datamodules.pose.openpose_json import read_openpose
from datamodules.pose.people import People, joined
from datamodules.pose.skeletons import Skeleton


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which frame 9 comes before frame 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def read_folder(
    folder: Path, skeleton: Skeleton | None = None, dtype: DTypeLike = np.float32
) -> tuple[list[str], People]:
    """The frames of a folder in natural order: their names, and the people.

    Names are file names without `.json`, `_keypoints.json` or `_pose.yml`. Where frames have different numbers of
    persons, the missing ones are zero.

    Args:
        skeleton: the body expected; None takes what is found.

    Raises:
        BenchError: there are no such files, one is broken, or their skeletons differ.
    """
    suffix, paths = _files(folder)
    paths = sorted(paths, key=lambda path: natural(path.name))
    names = [path.name.removesuffix(suffix).removesuffix("_keypoints") for path in paths]
    frames = [_read(path, suffix, skeleton, dtype) for path in paths]
    # A frame without a body does not say which skeleton the others have.
    found = next((frame.skeleton for frame in frames if frame.body.any()), frames[0].skeleton)
    for path, frame in zip(paths, frames, strict=True):
        if frame.body.any() and frame.skeleton is not found:
            raise BenchError(f"{path}: the body is {frame.skeleton.name}, but others of the folder are {found.name}")
    return names, joined([frame.to(found) for frame in frames])


def _read(path: Path, suffix: str, skeleton: Skeleton | None, dtype: DTypeLike) -> People:
    if suffix == ".json":
        return read_openpose(path, skeleton, dtype)
    return read_yaml(path.with_name(path.name.removesuffix(suffix)), skeleton, dtype)


def _files(folder: Path) -> tuple[str, list[Path]]:
    if not folder.is_dir():
        raise BenchError(f"{folder}: no such folder")
    for suffix in (".json", SUFFIXES["body"]):
        paths = [path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith(".")]
        if paths:
            return suffix, paths
    raise BenchError(f"{folder}: no key-points found, expected OpenPose's *.json or OpenCV's *{SUFFIXES['body']}")
