"""How a file wants its frames turned: phones store them as the sensor lies and add a matrix."""

import struct
from typing import Any, NamedTuple

import numpy as np

DISPLAYMATRIX = "DISPLAYMATRIX"
MATRIX = struct.Struct("=9i")  # a b u, c d v, x y w: x' = a x + c y, y' = b x + d y with y downwards


class Turn(NamedTuple):
    """Turns a picture: transposed first, then mirrored. `readable` is false where the matrix is none of the eight."""

    transpose: bool
    mirror_rows: bool
    mirror_columns: bool
    readable: bool = True

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The H W C picture, upright."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.mirror_rows else 1, :: -1 if self.mirror_columns else 1]


UPRIGHT = Turn(False, False, False)


def turn_of(frame: Any) -> Turn | None:
    """The turn that the frame's display matrix asks for, mirror images included; None without a matrix."""
    for data in frame.side_data:
        if data.type.name == DISPLAYMATRIX and len(bytes(data)) == MATRIX.size:
            a, b, _, c, d, *_ = MATRIX.unpack(bytes(data))
            if not b and not c and a and d:
                return Turn(False, d < 0, a < 0)
            if not a and not d and b and c:
                return Turn(True, b < 0, c < 0)
            return Turn(False, False, False, readable=False)
    return None
