"""Turned squares cut out of an image, and the way back from the square to the image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Square:
    """A square in an image.

    Attributes:
        centre: x, y in pixels.
        size: of its sides.
        angle: by which it is turned clockwise on the screen, in radians.
    """

    centre: np.ndarray
    size: float
    angle: float = 0.0

    def _axes(self) -> np.ndarray:
        """Columns: one side's way to the right and one side's way down, in the image."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return self.size * np.array([[cosine, -sine], [sine, cosine]])

    def cut(self, image: Image.Image, side: int) -> np.ndarray:
        """uint8 side side 3, bilinear; black outside of the image."""
        step = self._axes() / side
        corner = self.centre - self._axes() @ (0.5, 0.5)
        matrix = (step[0, 0], step[0, 1], corner[0], step[1, 0], step[1, 1], corner[1])
        return np.asarray(
            image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR), dtype=np.uint8
        )

    def to_image(self, places: np.ndarray) -> np.ndarray:
        """Image pixels of places (... 2) given from 0 to 1 across the square."""
        return (places - 0.5) @ self._axes().T + self.centre


def around(start: np.ndarray, towards: np.ndarray, upright: np.ndarray, scale: float) -> Square:
    """A square around `start` that reaches `scale` times as far as `towards`, turned so that `upright` points up."""
    size = 2 * scale * float(np.hypot(*(towards - start)))
    return Square(start, size, float(np.pi / 2 + np.arctan2(upright[1], upright[0])))
