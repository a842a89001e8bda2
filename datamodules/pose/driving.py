"""A picture of a person and the poses to draw him in, from files: key-points, or a video of somebody who moves."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.frame_sets.maps import read_rgb
from datamodules.frame_sets.view import Box, View
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.convert import convert
from datamodules.pose.keypoint_csv import read_keypoints
from datamodules.pose.openpose_json import read_openpose
from datamodules.pose.pose_folder import read_folder
from datamodules.pose.skeletons import COCO_18
from datamodules.pose_track import enlargement
from datamodules.reading.scaling import Fit, Scaler
from datamodules.video_reader import VideoReader

Size = tuple[int, int]  # height, width
SHOWN = 5  # frame numbers named in a note


class Posed(NamedTuple):
    """All in frames of one size; pictures of another aspect have black borders.

    Attributes:
        source: uint8 H W 3.
        source_pose: float32 18 3; all missing where it was not asked for.
        poses: float32 T 18 3 of COCO_18.
        driving: uint8 T H W 3, the frames that the poses were found in; None for key-points.
        notes: what a user should know.
    """

    source: np.ndarray
    source_pose: np.ndarray
    poses: np.ndarray
    driving: np.ndarray | None
    notes: list[str]


class PoseFiles(NamedTuple):
    """What to draw.

    Attributes:
        source: a picture of the person.
        poses: a folder of OpenPose's JSON or OpenCV's YAML, one such JSON, pose-gan's `:`-separated CSV, or a video, in
            which BlazePose looks for one person (the extra `pose`).
        source_pose: one of the same key-point files, of the source.
        pose_size: height and width of the frames that the key-points of `poses` are in; None takes the source's.
    """

    source: Path
    poses: Path
    source_pose: Path | None = None
    pose_size: Size | None = None


def read_posed(files: PoseFiles, size: Size, find_source_pose: bool = False, frames: int | None = None) -> Posed:
    """Reads and fits everything into frames of `size`.

    Args:
        find_source_pose: looks for it in the source where no file is given.
        frames: only the first so many.

    Raises:
        BenchError: a file that cannot be read, nobody in it, or all of his joints outside the frame.
    """
    source, poses, source_pose, pose_size = files
    try:
        picture = read_rgb(source)
    except (BadFile, OSError) as error:
        raise BenchError(f"{source}: no readable picture: {error}") from error
    native = (picture.shape[0], picture.shape[1])
    notes: list[str] = []
    driving = None
    if (found := _keypoints(poses, notes)) is not None:
        placed = _fitted(found, pose_size or native, size, poses)
    else:
        placed, driving = _filmed(poses, size, frames)
    placed, driving = placed[:frames], None if driving is None else driving[:frames]
    empty = np.flatnonzero(~_there(placed))
    if len(empty) == len(placed):
        raise BenchError(f"{poses}: nobody is in any of its {len(placed)} frames, so there is no pose to draw")
    if len(empty):
        notes.append(f"{poses}: nobody in {len(empty)} of {len(placed)} frames, such as {_listed(empty)}")
    still = np.zeros((len(COCO_18), 3), np.float32)
    if source_pose is not None:
        still = _fitted(_of_file(source_pose, notes)[:1], native, size, source_pose)[0]
    elif find_source_pose:
        still = _looked_for([_view(native, _large(native, size), "squash").picture(picture)], native, size)[0]
    if (source_pose is not None or find_source_pose) and not still.any():
        raise BenchError(f"{source_pose or source}: nobody is found in the source picture; name his key-points")
    return Posed(_view(native, size).picture(picture), still, placed, driving, notes)


def _keypoints(path: Path, notes: list[str]) -> np.ndarray | None:
    """T 18 3 of key-point files; None for what is something else."""
    if path.is_dir() and not any(p.name.endswith((".json", "_pose.yml")) for p in path.iterdir()):
        return None
    return _of_file(path, notes) if path.is_dir() or path.suffix in (".json", ".csv") else None


def _of_file(path: Path, notes: list[str]) -> np.ndarray:
    if path.suffix == ".csv":
        return read_keypoints(path)[1]
    people = read_folder(path)[1] if path.is_dir() else read_openpose(path)
    if people.persons == 0:
        return np.zeros((people.frames, len(COCO_18), 3), np.float32)
    body = convert(people.body, people.skeleton, COCO_18)  # T P 18 3
    if people.persons > 1:
        notes.append(f"{path}: up to {people.persons} persons in a frame; the surest of each frame is drawn")
    surest = body[..., 2].sum(-1).argmax(1)
    return np.asarray(body[np.arange(len(body)), surest], dtype=np.float32)


def _filmed(path: Path, size: Size, frames: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Poses and frames of a video. Persons are looked for in larger frames, since on small ones joints are lost."""
    if not path.exists():
        raise BenchError(f"{path}: no such folder of key-points, and no such file of key-points or video")
    try:
        first = VideoReader(*size, fit="pad").open(path, 0, 1)
        for _ in first:
            pass
        assert first.size is not None
        poses = _looked_for(_frames(path, _large(first.size, size), frames, "squash"), first.size, size)
        return poses, np.stack(list(_frames(path, size, frames)))
    except BadFile as error:
        raise BenchError(f"{path}: neither key-points nor a readable video: {error}") from error


def _frames(path: Path, size: Size, frames: int | None, fit: Fit = "pad") -> Iterator[np.ndarray]:
    reading = VideoReader(*size, fit=fit).open(path, 0, frames)
    return islice((frame for piece in reading for frame in piece), frames)


def _looked_for(large: Iterable[np.ndarray], native: Size, size: Size) -> np.ndarray:
    """T 18 3 in frames of `size` of the person in frames of `_large` size."""
    look = BlazePose(COCO_18.name, persons=1).following()
    view, given = _view(native, size), _large(native, size)
    return np.stack([view.points(look(frame)[0], given) for frame in large])


def _large(native: Size, size: Size) -> Size:
    """Height and width of pictures of `native` aspect, without borders, in which persons are looked for.

    In frames with wide borders the detector, which sees all of a frame in a small square, was seen to miss persons.
    """
    shown = _view(native, size).place
    times = enlargement(shown.height, shown.width)
    return shown.height * times, shown.width * times


def _view(native: Size, size: Size, fit: Fit = "pad") -> View:
    """How pictures of height and width `native` become frames of `size`."""
    return View(Scaler(*size, 3, fit, "drop", Fraction(1)), native, Box.whole(native))


def _fitted(poses: np.ndarray, native: Size, size: Size, path: Path) -> np.ndarray:
    """Poses in the frames' pixels; joints outside are missing.

    Raises:
        BenchError: joints are found, and all lie outside.
    """
    fitted = _view(native, size).points(poses)
    if poses[..., 2].any() and not fitted.any():
        far = poses[poses[..., 2] > 0].max(0)
        raise BenchError(
            f"{path}: every joint lies outside of a picture of {native[1]} x {native[0]} pixels (x up to {far[0]:g}, y "
            f"up to {far[1]:g}); name the height and width of the frames that they are in with --pose_size"
        )
    return fitted


def _there(poses: np.ndarray) -> np.ndarray:
    """T bool: whether any joint is."""
    return np.asarray((poses[..., 2] > 0).any(-1))


def _listed(frames: Sequence[int] | np.ndarray) -> str:
    return ", ".join(str(int(frame)) for frame in frames[:SHOWN])
