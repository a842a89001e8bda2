"""BlazePose on one frame: where persons are, and the 33 points of one of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datamodules.pose.blazepose.crop import Square, around
from datamodules.pose.blazepose.detections import anchors, decode
from datamodules.pose.blazepose.models import POSE_DETECTION, POSE_LANDMARK, Network, model_path

ROI_SCALE = 1.25
DETECTED = 0.5  # score of a person in the detector
_HEAT, _WINDOW, _SURE = 64, 3, 0.5  # side of the heat-maps, reach of the refinement and the peak it asks for


class Person(NamedTuple):
    """The points found in a square.

    Attributes:
        points: 33 3: x, y in image pixels, visibility from 0 to 1.
        square: in which to look in the next frame.
        score: that there is a person.
    """

    points: np.ndarray
    square: Square
    score: float


class PersonDetector:
    """Squares around the persons of a frame.

    Args:
        folder: of the models; see `models.model_path`.
        threads: of the interpreter.
    """

    def __init__(self, folder: str | Path | None = None, threads: int = 1) -> None:
        self._network = Network(model_path(POSE_DETECTION, folder), threads)
        self._anchors = anchors(self._network.side, [(8, 2), (16, 2), (32, 6)])

    @property
    def digest(self) -> str:
        """Of the network."""
        return self._network.digest

    def __call__(self, image: Image.Image) -> list[Square]:
        """By falling score."""
        whole, boxes, logits = self._run(image)
        found = decode(boxes, logits, self._anchors, self._network.side, DETECTED)
        places = whole.to_image(found.points)  # N 4 2: middle of the hips, and how far the body reaches upwards, twice
        return [around(hips, reach, reach - hips, ROI_SCALE) for hips, reach in places[:, :2]]

    def score(self, image: Image.Image) -> float:
        """From 0 to 1: that there is a person anywhere, the score of the surest anchor."""
        return float(sigmoid(self._run(image)[2].astype(np.float64)).max())

    def _run(self, image: Image.Image) -> tuple[Square, np.ndarray, np.ndarray]:
        """The square that was looked at, boxes A 12 and logits A."""
        whole = Square(np.array(image.size) / 2, max(image.size))
        out = self._network(whole.cut(image, self._network.side) / np.float32(127.5) - 1)
        count = len(self._anchors)
        return whole, out[count, 12], out[count, 1][:, 0]


class PersonPoints:
    """The 33 points of the person in a square.

    Args:
        folder: of the models; see `models.model_path`.
        threads: of the interpreter.
    """

    def __init__(self, folder: str | Path | None = None, threads: int = 1) -> None:
        self._network = Network(model_path(POSE_LANDMARK, folder), threads)

    @property
    def digest(self) -> str:
        """Of the network."""
        return self._network.digest

    def __call__(self, image: Image.Image, square: Square) -> Person:
        """Also where there is nobody; the score says so."""
        side = self._network.side
        out = self._network(square.cut(image, side) / np.float32(255))
        points = out[(195,)].reshape(39, 5).astype(np.float64)
        places = square.to_image(refined(points[:, :2] / side, out[_HEAT, _HEAT, 39]))
        hips, reach = places[33:35]
        visibility = sigmoid(points[:33, 3])
        return Person(
            np.concatenate([places[:33], visibility[:, None]], -1),
            around(hips, reach, reach - hips, ROI_SCALE),
            float(out[(1,)][0]),
        )


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Of any values."""
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def refined(places: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Points moved to the middle of their heat-map's peak where it is sure.

    Args:
        places: K 2 from 0 to 1.
        heat: logits H H K.
    """
    side = len(heat)
    cell = np.floor(places * side).astype(np.int64)  # K 2 (x, y)
    reach = np.arange(-_WINDOW, _WINDOW + 1)
    x, y = cell[:, :1] + reach, cell[:, 1:] + reach  # K 7
    inside = ((y >= 0) & (y < side))[:, :, None] & ((x >= 0) & (x < side))[:, None, :]  # K 7 7
    rows, columns = np.clip(y, 0, side - 1)[:, :, None], np.clip(x, 0, side - 1)[:, None, :]
    weight = sigmoid(heat[rows, columns, np.arange(len(places))[:, None, None]].astype(np.float64)) * inside
    total = weight.sum((1, 2))
    middle = np.stack([(weight.sum(1) * x).sum(1), (weight.sum(2) * y).sum(1)], -1) / np.maximum(total, 1e-9)[:, None]
    sure = (weight.max((1, 2)) >= _SURE) & (cell >= 0).all(1) & (cell < side).all(1)
    return np.where(sure[:, None], middle / side, places)
