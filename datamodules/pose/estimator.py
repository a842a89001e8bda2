"""What finds poses in frames: one interface, a report of what was found, and two estimators that only look poses up."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from datamodules.errors import BenchError
from datamodules.pose.convert import convert
from datamodules.pose.pose_folder import read_folder
from datamodules.pose.skeletons import Skeleton

Progress = Callable[[int, int], None]  # frames done, frames in all


@dataclass(frozen=True)
class PoseReport:
    """What was found in a video, frame by frame.

    Attributes:
        persons: int64 T, persons found.
        entered: int64 T, of these how many were not there in the frame before; 0 in the first frame.
        left: int64 T, persons of the frame before who are gone: lost, or out of the picture.
        seconds: wall time of the whole video.
    """

    persons: np.ndarray
    entered: np.ndarray
    left: np.ndarray
    seconds: float

    @classmethod
    def of(cls, poses: np.ndarray, seconds: float) -> "PoseReport":
        """Reads it off poses (T P J 3), in which a person keeps his place P."""
        there = np.any(poses[..., 2] > 0, axis=-1)  # T P
        before = np.concatenate([there[:1], there[:-1]])
        return cls(there.sum(1), (there & ~before).sum(1), (before & ~there).sum(1), seconds)

    @property
    def found(self) -> float:
        """Share of the frames with a person."""
        return float((self.persons > 0).mean()) if len(self.persons) else 0.0

    @property
    def frames_per_second(self) -> float:
        """Frames over wall time."""
        return len(self.persons) / max(self.seconds, 1e-9)

    def lines(self) -> list[str]:
        """As `frames 0-41: 1 person`, one a run of frames with as many persons."""
        out, start = [], 0
        for count, run in groupby(self.persons.tolist()):
            end = start + len(list(run)) - 1
            frames = f"frame {start}" if start == end else f"frames {start}-{end}"
            said = f"{frames}: {count or 'no'} {'person' if count < 2 else 'persons'}"
            changes = (("entered", self.entered[start]), ("left", self.left[start]))
            moved = " and ".join(f"{number} {verb}" for verb, number in changes if number)
            out.append(f"{said} ({moved})" if moved else said)
            start = end + 1
        return out


class Estimate(NamedTuple):
    """Poses float32 T P J 3, a person's row P staying the same while he is seen, and the report."""

    poses: np.ndarray
    report: PoseReport


class PoseEstimator(Protocol):
    """Finds the poses in a video.

    Attributes:
        skeleton: of the poses.
        fingerprint: networks and settings, in words: all that moves the poses beside the frames.
    """

    @property
    def skeleton(self) -> Skeleton: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def estimate(self, frames: np.ndarray, progress: Progress | None = None) -> Estimate:
        """Poses in `frames` (uint8 T H W 3), in their pixels; calls `progress` after every frame.

        Raises:
            BenchError: this estimator cannot serve these frames.
        """
        ...


class KnownPoses:
    """Poses that are known already, such as an embedded data set's ground truth.

    Args:
        poses: float32 T P J 3 of `given`.
        skeleton: to give; the poses are converted to it.
    """

    def __init__(self, poses: np.ndarray, given: Skeleton, skeleton: Skeleton | None = None) -> None:
        self.skeleton = skeleton or given
        self.poses = convert(poses, given, self.skeleton).astype(np.float32)
        digest = hashlib.sha256(np.ascontiguousarray(self.poses).tobytes()).hexdigest()[:12]
        self.fingerprint = f"known poses {self.skeleton.name} sha256 {digest}"

    def estimate(self, frames: np.ndarray, progress: Progress | None = None) -> Estimate:
        """The poses, once for each frame; raises `BenchError` where the counts differ."""
        began = time.perf_counter()
        if len(frames) != len(self.poses):
            raise BenchError(f"{self}: poses of {len(self.poses)} frames, but the video has {len(frames)}")
        if progress:
            progress(len(frames), len(frames))
        return Estimate(self.poses, PoseReport.of(self.poses, time.perf_counter() - began))

    def __str__(self) -> str:
        return "known poses"


class FilePoses(KnownPoses):
    """Key-point files of one video, one a frame in natural order of their names; see `pose_folder.read_folder`.

    Args:
        folder: OpenPose's JSON or OpenCV's YAML.
        skeleton: to give; None takes that of the files.
    """

    def __init__(self, folder: str | Path, skeleton: Skeleton | None = None) -> None:
        self.folder = Path(folder)
        self.names, people = read_folder(self.folder)
        super().__init__(people.body, people.skeleton, skeleton)

    def __str__(self) -> str:
        return str(self.folder)
