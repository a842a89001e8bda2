"""The face mesh on a video: OpenPose's 70 points of faces that are found and followed, or looked for at known heads."""

import time
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.errors import BenchError
from datamodules.pose.blazepose.crop import Square
from datamodules.pose.blazepose.detections import anchors, decode
from datamodules.pose.blazepose.frames import check_frames, working_copy
from datamodules.pose.blazepose.mapping import face_70
from datamodules.pose.blazepose.models import FACE_DETECTION, FACE_LANDMARK, Network, model_path
from datamodules.pose.blazepose.person import sigmoid
from datamodules.pose.estimator import Estimate, PoseReport, Progress
from datamodules.pose.skeletons import FACE_70, Skeleton

DETECTED = FOLLOWED = 0.5
_MARGIN = 1.5  # the square in which points are looked for, over the face's longer side
_HEAD = 4.0  # the square in which a head's face is detected, over the largest distance between nose, eyes and ears
_EYE_CORNERS = 36, 45  # outer ones, right and left, of the 70 points
_HEAD_JOINTS = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")


class FaceMesh:
    """Estimates faces with two networks on the CPU; satisfies `estimator.PoseEstimator`.

    All points of a face have the network's score for the face as confidence, points outside of the picture 0. The
    detector finds faces that fill a tenth of the picture or more; smaller ones of whole bodies are found by `at_heads`.

    Args:
        persons: how many faces are looked for.
        models: folder of the .tflite files; None takes `REELBENCH_POSE_MODELS`.
        every: frames between two detections while there is room for more faces.
        threads: of the interpreters.

    Raises:
        BenchError: a model or the extra `pose` is missing, or an argument is out of range.
    """

    skeleton: Skeleton = FACE_70

    def __init__(self, persons: int = 1, models: str | Path | None = None, every: int = 5, threads: int = 1) -> None:
        for key, value in (("persons", persons), ("every", every), ("threads", threads)):
            if value < 1:
                raise BenchError(f"FaceMesh: {key} must be at least 1, found {value}")
        self.persons, self.every = persons, every
        self._detector = Network(model_path(FACE_DETECTION, models), threads)
        self._mesh = Network(model_path(FACE_LANDMARK, models), threads)
        self._anchors = anchors(self._detector.side, [(8, 2), (16, 6)])

    @property
    def fingerprint(self) -> str:
        """See `PoseEstimator`."""
        return (
            f"face mesh, persons {self.persons}, detection every {self.every}, sha256 {self._detector.digest} "
            f"{self._mesh.digest}"
        )

    def estimate(self, frames: np.ndarray, progress: Progress | None = None) -> Estimate:
        """Faces in `frames` (uint8 T H W 3): float32 T P 70 3 with P = `persons`, and the report."""
        began = time.perf_counter()
        check_frames(frames)
        out = np.zeros((len(frames), self.persons, len(FACE_70), 3), dtype=np.float32)
        followed: dict[int, Square] = {}
        for number, frame in enumerate(frames):
            image, scale = working_copy(frame)
            found = {row: face for row, square in followed.items() if (face := self._points(image, square)) is not None}
            lost = len(found) < len(followed)
            if len(found) < self.persons and (not found or lost or number % self.every == 0):
                for square in self._detect(image, Square(np.array(image.size) / 2, max(image.size))):
                    free = [row for row in range(self.persons) if row not in found]
                    face = self._points(image, square) if free and not self._known(square, found) else None
                    if face is not None:
                        found[free[0]] = face
            followed = {row: _around(face) for row, face in found.items()}
            for row, face in found.items():
                out[number, row] = _inside(face * (scale, scale, 1), frame)
            if progress:
                progress(number + 1, len(frames))
        return Estimate(out, PoseReport.of(out, time.perf_counter() - began))

    def at_heads(
        self, frames: np.ndarray, bodies: np.ndarray, skeleton: Skeleton, progress: Progress | None = None
    ) -> Estimate:
        """Faces of known bodies.

        Args:
            frames: uint8 T H W 3.
            bodies: T P J 3 in their pixels.
            skeleton: of the bodies.

        Returns:
            Poses T P 70 3: row P is the face of body P, missing where the head is hidden or the face turned away.
        """
        began = time.perf_counter()
        check_frames(frames)
        heads = bodies[..., [skeleton.index(joint) for joint in _HEAD_JOINTS], :]
        out = np.zeros((*bodies.shape[:2], len(FACE_70), 3), dtype=np.float32)
        for number, frame in enumerate(frames):
            image = Image.fromarray(frame)  # in full: heads are small
            for row, head in enumerate(heads[number]):
                around = _at_head(head)
                squares = self._detect(image, around) if around else []
                face = self._points(image, squares[0]) if squares else None
                if face is not None:
                    out[number, row] = _inside(face, frame)
            if progress:
                progress(number + 1, len(frames))
        return Estimate(out, PoseReport.of(out, time.perf_counter() - began))

    def _detect(self, image: Image.Image, whole: Square) -> list[Square]:
        """Squares around the faces in a part of the image."""
        side, count = self._detector.side, len(self._anchors)
        out = self._detector(whole.cut(image, side) / np.float32(127.5) - 1)
        found = decode(out[count, 16], out[count, 1][:, 0], self._anchors, side, DETECTED)
        squares = []
        for box, points in zip(found.box, found.points, strict=True):
            right_eye, left_eye = whole.to_image(points[:2])
            size = _MARGIN * float(box[2:].max()) * whole.size
            squares.append(Square(whole.to_image(box[:2]), size, _tilt(right_eye, left_eye)))
        return squares

    def _points(self, image: Image.Image, square: Square) -> np.ndarray | None:
        """70 3, or None where the square shows no face."""
        side = self._mesh.side
        out = self._mesh(square.cut(image, side) / np.float32(255))
        score = float(sigmoid(out[1, 1, 1].astype(np.float64)).item())
        if score < FOLLOWED:
            return None
        places = square.to_image(out[1, 1, 1404].reshape(468, 3)[:, :2].astype(np.float64) / side)
        return np.concatenate([face_70(places), np.full((len(FACE_70), 1), score)], -1)

    def _known(self, square: Square, found: dict[int, np.ndarray]) -> bool:
        """Whether the square surrounds a face that is already there."""
        middles = [face[:, :2].mean(0) for face in found.values()]
        return any(float(np.hypot(*(middle - square.centre))) < square.size / 3 for middle in middles)


def _tilt(right_eye: np.ndarray, left_eye: np.ndarray) -> float:
    """Radians by which a head is tilted clockwise on the screen."""
    way = left_eye - right_eye
    return float(np.arctan2(way[1], way[0]))


def _around(face: np.ndarray) -> Square:
    """The square in which to look for a face next."""
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    right, left = (face[corner, :2] for corner in _EYE_CORNERS)
    return Square((low + high) / 2, _MARGIN * float((high - low).max()), _tilt(right, left))


def _at_head(head: np.ndarray) -> Square | None:
    """A square with room around nose, eyes and ears (5 3); None where fewer than three are seen."""
    seen = head[head[:, 2] > 0, :2]
    if len(seen) < 3:
        return None
    size = _HEAD * float(np.linalg.norm(seen[:, None] - seen, axis=-1).max())
    return Square(seen.mean(0), max(size, 1.0))


def _inside(face: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Without the points outside of the picture."""
    height, width = frame.shape[:2]
    inside = np.all((face[:, :2] >= 0) & (face[:, :2] <= (width - 1, height - 1)), axis=1)
    return np.where(inside[:, None], face, 0)
