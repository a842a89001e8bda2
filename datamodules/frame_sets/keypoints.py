"""Poses and faces of frames that are many files each."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.view import Box, View
from datamodules.pose.face_box import read_face_box
from datamodules.pose.opencv_yaml import SUFFIXES as YAML
from datamodules.pose.opencv_yaml import read_yaml
from datamodules.pose.openpose_json import read_openpose
from datamodules.pose.people import PARTS, People
from datamodules.pose.skeletons import FACE_70, Skeleton, skeleton
from datamodules.pose.textfile import read_text
from datamodules.tracks import Track

KEYPOINT_ENDINGS = (".json", YAML["body"])
LANDMARKS = 68  # points of a face; FACE_70 has the pupils behind them


def read_people(path: Path) -> People:
    """One frame of OpenPose's JSON or, by its `_pose.yml`, of OpenCV's YAML. Raises `BadFile`."""
    try:
        if path.name.endswith(YAML["body"]):
            return read_yaml(path.with_name(path.name.removesuffix(YAML["body"])))
        return read_openpose(path)
    except BenchError as error:
        raise BadFile(str(error)) from error


def placed(people: People, view: View, size: tuple[int, int] | None = None) -> People:
    """The people in the frame's pixels, also where they lie outside it. See `View.points`."""
    return People(people.skeleton, **{part: view.points(getattr(people, part), size, outside=True) for part in PARTS})


class Bodies:
    """`pose`: bodies of one skeleton. Where there are more than `persons`, the most confident ones are kept.

    Args:
        skeleton: its name; other bodies are converted by joint name.
        persons: P.
        size: height and width of the pictures in which the joints are given; None where those are the frames'.
    """

    key = "pose"

    def __init__(
        self, skeleton_name: str, persons: int = 1, size: tuple[int, int] | None = None, role: str = "keypoints"
    ) -> None:
        self.skeleton: Skeleton = skeleton(skeleton_name)
        self.persons, self.size, self.role = persons, size, role
        self.policy = {"skeleton": skeleton_name, "persons": persons, "size": size}

    def track(self, height: int, width: int) -> Track:
        """Float32 P J 3."""
        return Track("float32", (self.persons, len(self.skeleton), 3))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        body = read_people(source.frames[frame][self.role]).to(self.skeleton).body[0]  # P J 3
        order = np.argsort(-body[..., 2].sum(-1), kind="stable")[: self.persons]
        body = view.points(body[np.sort(order)], self.size)
        return np.pad(body, ((0, self.persons - len(body)), (0, 0), (0, 0)))


class FaceBoxes:
    """`face_box` from Everybody Dance Now's text files: `miny maxy minx maxx`.

    Args:
        size: height and width of the pictures in which the boxes are given.
    """

    key = "face_box"

    def __init__(self, size: tuple[int, int], role: str = "face") -> None:
        self.size, self.role = size, role
        self.policy = {"size": size}

    def track(self, height: int, width: int) -> Track:
        """Float32 4."""
        return Track("float32", (4,))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        path = source.frames[frame][self.role]
        height, width = self.size
        try:
            box = read_face_box(path)
        except BenchError as error:
            raise BadFile(str(error)) from error
        y0, y1, x0, x1 = box.tolist()
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise BadFile(f"{path}: box {y0} {y1} {x0} {x1} does not lie in {width}x{height} pixels")
        return view.edges(box, self.size)


class Landmarks:
    """`pose`: a face's 68 points, one `x,y` a line, as the rows of FACE_70; the pupils are missing."""

    key = "pose"
    policy = "face_70"

    def __init__(self, role: str = "keypoints") -> None:
        self.role = role

    def track(self, height: int, width: int) -> Track:
        """Float32 1 70 3."""
        return Track("float32", (1, len(FACE_70), 3))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        return view.points(face_rows(read_landmarks(source.frames[frame][self.role]))[None])


class FaceSquare:
    """The part of a video that vid2vid shows of a face: a square 2.5 times as wide as the face in the first frame.

    It is centred on the landmarks' width, and a quarter of their height below the highest, since the hair lies above
    them. A square that sticks out of the picture is moved inside; where it is larger than the picture, it is black.

    Args:
        width: of the square in widths of the face.
    """

    def __init__(self, width: float = 2.5, role: str = "keypoints") -> None:
        self.width, self.role = width, role
        self.policy = {"face_square": width}
        self._boxes: dict[tuple[str, tuple[int, int]], Box] = {}

    def box(self, source: FrameSource, size: tuple[int, int]) -> Box:
        """See `reader.Framing`."""
        key = (source.name, size)
        if key not in self._boxes:
            points = read_landmarks(source.frames[0][self.role])
            (x0, y0), (x1, y1) = points.min(0), points.max(0)
            side = max(round(self.width * (x1 - x0)), 1)
            top = _inside(round((3 * y0 + y1) / 4 - side / 2), side, size[0])
            left = _inside(round((x0 + x1) / 2 - side / 2), side, size[1])
            self._boxes[key] = Box(top, top + side, left, left + side)
        return self._boxes[key]


class Table:
    """`pose` of single pictures from one annotation file.

    Args:
        poses: J 3 of each video's name.
        skeleton_name: of the joints.
    """

    key = "pose"

    def __init__(self, poses: Mapping[str, np.ndarray], skeleton_name: str) -> None:
        self.poses, self.joints = poses, len(skeleton(skeleton_name))
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(poses):
            digest.update(name.encode() + poses[name].astype("<f4").tobytes())
        self.policy = {"skeleton": skeleton_name, "annotation": digest.hexdigest()}

    def track(self, height: int, width: int) -> Track:
        """Float32 1 J 3."""
        return Track("float32", (1, self.joints, 3))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        return view.points(self.poses[source.name][None])


def read_landmarks(path: Path) -> np.ndarray:
    """float64 68 2, x and y. Raises `BadFile`."""
    lines = [line for line in _text(path).splitlines() if line.strip()]
    try:
        points = np.array([[float(word) for word in line.split(",")] for line in lines])
    except ValueError:
        points = np.zeros(0)
    if points.shape != (LANDMARKS, 2) or not np.isfinite(points).all():
        raise BadFile(f"{path}: {len(lines)} lines found, expected {LANDMARKS} with `x,y`")
    return points


def face_rows(points: np.ndarray) -> np.ndarray:
    """68 2 or 68 3 -> 70 3, the rows of FACE_70: points without confidence are there; the pupils are missing."""
    rows = np.zeros((len(FACE_70), 3))
    rows[:LANDMARKS, 2] = 1
    rows[:LANDMARKS, : points.shape[1]] = points
    return rows


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except BenchError as error:
        raise BadFile(str(error)) from error


def _inside(first: int, length: int, limit: int) -> int:
    """Where a stretch begins when it is moved inside `limit`; centred where it is longer."""
    return (limit - length) // 2 if length > limit else min(max(first, 0), limit - length)
