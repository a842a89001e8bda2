"""Stick figures in the style of vid2vid: thick lines on black for bodies, thin ones for hands and faces.

Drawn after a description of the official pictures (colours, widths, thresholds, what is joined to what, overlaps
averaged), with a renderer of our own. It was never compared with the official code pixel by pixel.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datamodules.pose.people import People
from datamodules.pose.raster import Pixels, discs
from datamodules.pose.skeletons import BODY_25

Colour = tuple[int, int, int]

# RGB by limb of BODY_25.
_LIMBS: dict[tuple[int, int], Colour] = {
    (17, 15): (153, 0, 153), (15, 0): (153, 0, 102), (0, 16): (102, 0, 153), (16, 18): (51, 0, 153),
    (0, 1): (153, 0, 51), (1, 8): (153, 0, 0),
    (1, 2): (153, 51, 0), (2, 3): (153, 102, 0), (3, 4): (153, 153, 0),
    (1, 5): (102, 153, 0), (5, 6): (51, 153, 0), (6, 7): (0, 153, 0),
    (8, 9): (0, 153, 51), (9, 10): (0, 153, 102),
    (10, 11): (0, 153, 153), (11, 24): (0, 153, 153), (11, 22): (0, 153, 153), (22, 23): (0, 153, 153),
    (8, 12): (0, 102, 153), (12, 13): (0, 51, 153),
    (13, 14): (0, 0, 153), (14, 21): (0, 0, 153), (14, 19): (0, 0, 153), (19, 20): (0, 0, 153),
}  # fmt: skip
_FINGERS: tuple[Colour, ...] = ((204, 0, 0), (163, 204, 0), (0, 204, 82), (0, 82, 204), (163, 0, 204))
_WHITE = (255, 255, 255)
# Brows, nose, eyes and mouth, without the jaw: lists of the 70 points, joined by curves through three at a time.
FACE_CURVES: tuple[tuple[int, ...], ...] = (
    (17, 18, 19, 20, 21), (22, 23, 24, 25, 26), (27, 28, 29, 30), (31, 32, 33, 34, 35),
    (36, 37, 38, 39), (39, 40, 41, 36), (42, 43, 44, 45), (45, 46, 47, 42),
    (48, 49, 50, 51, 52, 53, 54), (54, 55, 56, 57, 58, 59, 48), (60, 61, 62, 63, 64), (64, 65, 66, 67, 60),
)  # fmt: skip


@dataclass(frozen=True)
class Vid2VidStyle:
    """Sizes in pixels.

    Attributes:
        limb, thin: widths of the lines of bodies, and of hands and faces.
        end: radius of the discs at the ends of limbs.
        confidence, face_confidence: joints and points of faces have to lie above.
    """

    limb: int = 6
    thin: int = 2
    end: int = 6
    confidence: float = 0.01
    face_confidence: float = 0.1


def draw(people: People, height: int, width: int, style: Vid2VidStyle | None = None) -> np.ndarray:
    """Stick figures in the pixels of the poses: uint8 T H W 3, RGB on black. All persons are drawn.

    Args:
        people: of any body skeleton; joints that BODY_25 has and theirs lacks are missing.
    """
    style = style or Vid2VidStyle()
    people = people.to(BODY_25)
    canvas = np.zeros((people.frames, height, width, 3), dtype=np.uint8)
    for person in range(people.persons):
        body = people.body[:, person]
        for limb, colour in _LIMBS.items():
            _stroke(canvas, body[:, limb], style.confidence, style.limb, style.end, colour)
        for hand in (people.hand_left[:, person], people.hand_right[:, person]):
            for finger, colour in enumerate(_FINGERS):
                for bone in pairwise((0, *range(4 * finger + 1, 4 * finger + 5))):
                    _stroke(canvas, hand[:, bone], style.confidence, style.thin, 0, colour)
        face = people.face[:, person]
        for curve in FACE_CURVES:
            for first in range(0, len(curve) - 1, 2):
                _stroke(canvas, face[:, curve[first : first + 3]], style.face_confidence, style.thin, 0, _WHITE)
    return canvas


def _stroke(canvas: np.ndarray, joints: np.ndarray, confidence: float, width: int, end: int, colour: Colour) -> None:
    """Draws a line through two or a parabola through three joints (T K 3) in the frames where all are there.

    What was drawn before is averaged with the new colour, once a pixel.
    """
    frames = np.flatnonzero((joints[..., 2] > confidence).all(1))
    if not len(frames):
        return
    points = joints[frames, :, :2].astype(np.float64)  # N K 2
    shape, y, x = brushed(points, width)
    if end:
        for k in (0, -1):
            disc = discs(np.floor(points[:, k]).astype(np.int64), end)
            shape, y, x = (np.concatenate(parts) for parts in zip((shape, y, x), disc, strict=True))
    height, length = canvas.shape[1:3]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < length)
    pixels = np.unique(((frames[shape] * height + y) * length + x)[inside])
    flat = canvas.reshape(-1, 3)
    old = flat[pixels].astype(np.int64)
    fresh = (old == 0).all(-1, keepdims=True)
    flat[pixels] = np.where(fresh, colour, (old + np.array(colour)) // 2)


def brushed(points: np.ndarray, width: int) -> Pixels:
    """Pixels under a square brush of `width` that runs through the points (N K 2), K two or three."""
    reach = np.abs(np.diff(points, axis=1)).sum((1, 2))
    steps = 2 * np.ceil(reach).astype(np.int64)[:, None] + 1  # two places a pixel or more, of each frame its own
    at = np.minimum(np.arange(steps.max() + 1), steps) / steps  # N S from 0 to 1
    # Weights of the points but the first, which the curve leaves from: a line, or Lagrange's parabola.
    weights = [at] if points.shape[1] == 2 else [4 * at * (1 - at), at * (2 * at - 1)]
    curve = points[:, :1] + sum(w[..., None] * (points[:, k, None] - points[:, :1]) for k, w in enumerate(weights, 1))
    places = np.floor(curve).astype(np.int64)  # N S 2
    dy, dx = np.divmod(np.arange(width * width), width)
    x = places[..., :1] + dx - width // 2
    y = places[..., 1:] + dy - width // 2
    shape = np.broadcast_to(np.arange(len(points))[:, None, None], x.shape)
    return shape.reshape(-1), y.reshape(-1), x.reshape(-1)
