"""What vid2vid makes faces of: drawn curves with the background's edges, and the distance to each curve."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from datamodules.pose.canny import canny
from datamodules.pose.stick_vid2vid import FACE_CURVES, brushed

POINTS = 68
JAW = tuple(range(17))
CHANNELS = 3 + len(FACE_CURVES)  # the map; the distances to jaw, upper outline, and the curves within the face
FARTHEST, SHARE, WIDTH, UPPER = 255, 3, 2, 2 / 3


def face_map(points: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Curves of a face with Canny's edges of what is not face, then 14 distances in thirds of a pixel.

    Curves run through three points at a time, two pixels wide. The upper outline is the jaw mirrored at the line
    through its ends, two thirds as high. Distances are |dx| + |dy|, at most 255. Drawn after a description of the
    official maps that says nothing of Canny's thresholds; it was not compared with the official code pixel by pixel.

    Args:
        points: 68 3 (x, y in the picture's pixels, also outside of it, and confidence), in iBUG's order. A curve of
            which a point is missing is not drawn, and everything is far from it.
        picture: uint8 H W 3.

    Returns:
        uint8 15 H W: 0 or 255, then jaw, upper outline, right and left brow, bridge and tip of the nose, four lids,
        lips outside and inside.
    """
    height, width = picture.shape[:2]
    curves = [points[list(JAW)], _upper(points), *(points[list(curve)] for curve in FACE_CURVES)]
    drawn = np.stack([_drawn(curve, height, width) for curve in curves])  # 14 H W
    edges = canny(np.asarray(Image.fromarray(picture).convert("L"))) & ~_inside(curves[0], curves[1], height, width)
    out = np.full((CHANNELS, height, width), FARTHEST, dtype=np.uint8)
    out[0] = np.where(edges | drawn.any(0), 255, 0)
    for channel, curve in zip(out[1:], drawn, strict=True):
        if curve.any():
            distance = ndimage.distance_transform_cdt(~curve, metric="taxicab")
            channel[:] = np.minimum(distance // SHARE, FARTHEST)
    return out


def _upper(points: np.ndarray) -> np.ndarray:
    """17 3: the outline of the forehead, from the left end of the jaw back to the right one."""
    jaw = points[list(JAW)].astype(np.float64)
    start, along = jaw[0, :2], jaw[-1, :2] - jaw[0, :2]
    across = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-9)
    below = (jaw[:, :2] - start) @ across
    jaw[:, :2] -= np.outer((1 + UPPER) * below, across)
    return jaw[::-1]


def _drawn(curve: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bool H W of a curve K 3 through three points at a time; a rest of two is a line."""
    out = np.zeros((height, width), dtype=bool)
    if (curve[:, 2] > 0).all():
        for first in range(0, len(curve) - 1, 2):
            _, y, x = brushed(curve[None, first : first + 3, :2].astype(np.float64), WIDTH)
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            out[y[inside], x[inside]] = True
    return out


def _inside(jaw: np.ndarray, upper: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bool H W of the face; nothing where a point of its outline is missing."""
    canvas = Image.new("1", (width, height))
    if (jaw[:, 2] > 0).all():
        outline = np.concatenate([jaw, upper])[:, :2]
        ImageDraw.Draw(canvas).polygon([(x, y) for x, y in outline.tolist()], fill=1, outline=1)
    return np.array(canvas, dtype=bool)
