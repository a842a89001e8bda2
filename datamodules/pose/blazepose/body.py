"""BlazePose on a video: detects persons, follows each from frame to frame, gives OpenPose's joints."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.errors import BenchError
from datamodules.pose.blazepose.crop import Square
from datamodules.pose.blazepose.frames import check_frames, working_copy
from datamodules.pose.blazepose.mapping import body_25
from datamodules.pose.blazepose.person import Person, PersonDetector, PersonPoints
from datamodules.pose.convert import convert
from datamodules.pose.estimator import Estimate, PoseReport, Progress
from datamodules.pose.skeletons import BODY_25, Skeleton, skeleton

FOLLOWED = 0.5  # score below which a person is lost
FEWEST = 4  # joints that have to lie in the picture


class BlazePose:
    """Estimates bodies with two networks on the CPU; satisfies `estimator.PoseEstimator`.

    A person is followed by looking in the next frame where this one's points lie. The detector runs where someone was
    lost, and every few frames while there is room for more persons. Calls do not depend on each other.

    Joints that are hardly visible or outside of the picture are missing, as in OpenPose's results. Confidences are
    the network's visibilities. The small toes are always missing.

    Args:
        skeleton_name: `body_25`, `coco_18` or `body_23`.
        persons: how many are looked for.
        models: folder of the .tflite files; None takes `REELBENCH_POSE_MODELS`.
        every: frames between two detections while there is room for more persons.
        visible: visibility below which a joint is missing.
        threads: of the interpreters.

    Raises:
        BenchError: a model or the extra `pose` is missing, or an argument is out of range.
    """

    def __init__(
        self,
        skeleton_name: str = "body_25",
        persons: int = 2,
        models: str | Path | None = None,
        every: int = 5,
        visible: float = 0.1,
        threads: int = 1,
    ) -> None:
        for key, value in (("persons", persons), ("every", every), ("threads", threads)):
            if value < 1:
                raise BenchError(f"BlazePose: {key} must be at least 1, found {value}")
        self.skeleton: Skeleton = skeleton(skeleton_name)
        self.persons, self.every, self.visible = persons, every, visible
        self._detect, self._points = PersonDetector(models, threads), PersonPoints(models, threads)

    @property
    def fingerprint(self) -> str:
        """See `PoseEstimator`."""
        return (
            f"blazepose {self.skeleton.name}, persons {self.persons}, detection every {self.every}, visible "
            f"{self.visible:g}, sha256 {self._detect.digest} {self._points.digest}"
        )

    def estimate(self, frames: np.ndarray, progress: Progress | None = None) -> Estimate:
        """Poses in `frames` (uint8 T H W 3): float32 T P J 3 with P = `persons`, and the report."""
        began = time.perf_counter()
        check_frames(frames)
        follow = self.following()
        poses = np.zeros((len(frames), self.persons, len(self.skeleton), 3), dtype=np.float32)
        for number, frame in enumerate(frames):
            poses[number] = follow(frame)
            if progress:
                progress(number + 1, len(frames))
        return Estimate(poses, PoseReport.of(poses, time.perf_counter() - began))

    def following(self) -> Callable[[np.ndarray], np.ndarray]:
        """For a video too long to be in memory: gives a frame's poses P J 3, called with one frame after another."""
        followed: dict[int, Square] = {}
        numbers = itertools.count()

        def follow(frame: np.ndarray) -> np.ndarray:
            poses = np.zeros((self.persons, len(BODY_25), 3), dtype=np.float32)
            image, scale = working_copy(frame)
            found = self._step(image, next(numbers), followed)
            for row, person in found.items():
                points = person.points * (scale, scale, 1)
                poses[row] = self._seen(body_25(points), *frame.shape[:2])
            gone = [row for row in found if (poses[row, :, 2] > 0).sum() < FEWEST]
            poses[gone] = 0
            followed.clear()
            followed.update({row: person.square for row, person in found.items() if row not in gone})
            return convert(poses, BODY_25, self.skeleton)

        return follow

    def _step(self, image: Image.Image, number: int, followed: dict[int, Square]) -> dict[int, Person]:
        """The persons of a frame by their rows."""
        found: dict[int, Person] = {}
        for row, square in followed.items():
            self._add(found, row, self._points(image, square))
        lost = len(found) < len(followed)
        if len(found) < self.persons and (not found or lost or number % self.every == 0):
            for square in self._detect(image):
                free = [row for row in range(self.persons) if row not in found]
                if free and not any(_same(square, person.square) for person in found.values()):
                    self._add(found, free[0], self._points(image, square))
        return found

    def _add(self, found: dict[int, Person], row: int, person: Person) -> None:
        """Keeps a person who is there and is not another one who was found before."""
        if person.score >= FOLLOWED and not any(_same(person.square, other.square) for other in found.values()):
            found[row] = person

    def _seen(self, pose: np.ndarray, height: int, width: int) -> np.ndarray:
        """Without the joints that are hidden or outside of the picture."""
        x, y, confidence = pose[:, 0], pose[:, 1], pose[:, 2]
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return np.where((inside & (confidence >= self.visible))[:, None], pose, 0)


def _same(a: Square, b: Square) -> bool:
    """Whether two squares surround one person: their middles are close for their size."""
    return float(np.hypot(*(a.centre - b.centre))) < 0.15 * min(a.size, b.size)
