"""Stick figures as Everybody Dance Now draws its labels, many frames at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from datamodules.pose.palettes import Colour
from datamodules.pose.people import People
from datamodules.pose.raster import Pixels, discs, ellipses
from datamodules.pose.skeletons import HAND_21

CANVAS = (1080, 1920)  # height, width in which the official code draws
LABEL = (512, 1024)  # height, width of its label files
CHUNK = 8  # frames drawn at once: 50 MB of canvas


@dataclass(frozen=True)
class EdnStyle:
    """Sizes in pixels of the canvas.

    Attributes:
        joint, hand_joint, face_point: radii of discs.
        limb, bone: half-widths of the ellipses of body and hands.
        face_points: which of the 70 are drawn; the official code's default.
        face_confidence: a face whose 70 points have a lower mean confidence is not drawn.
        hand_confidence: hand joints have to lie above.
        opacity: of limbs over what lies below.
        hand_colours: of the 21 joints, RGB; a bone has its second joint's. The inner 19 of the official table are not
            in this project (see `palettes`): give them to draw hands exactly as the official code does.
    """

    joint: int = 8
    limb: int = 4
    hand_joint: int = 3
    bone: int = 2
    face_point: int = 4
    face_points: tuple[int, ...] = (27, 30, 8, 0, 16, 33, 68, 69)
    face_confidence: float = 0.2
    hand_confidence: float = 0.05
    opacity: float = 0.6
    hand_colours: tuple[Colour, ...] = HAND_21.colours


class _Canvas:
    """White frames, drawn into one shape a frame at a time.

    Args:
        frames, height, width: of the pictures.
    """

    def __init__(self, frames: int, height: int, width: int) -> None:
        self.pixels = np.full((frames, height, width, 3), 255, dtype=np.uint8)

    def _seen(self, frames: np.ndarray, shapes: Pixels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels inside the pictures; `frames` says in which frame each shape lies."""
        shape, y, x = shapes
        inside = (y >= 0) & (y < self.pixels.shape[1]) & (x >= 0) & (x < self.pixels.shape[2])
        return frames[shape[inside]], y[inside], x[inside]

    def disc(self, joint: np.ndarray, seen: np.ndarray, radius: int, colour: tuple[int, int, int]) -> None:
        """Where `seen` (T), a disc at `joint` (T 3)."""
        frames = np.flatnonzero(seen)
        self.pixels[self._seen(frames, discs(joint[frames, :2].astype(np.int64), radius))] = colour

    def limb(
        self, a: np.ndarray, b: np.ndarray, seen: np.ndarray, width: int, colour: tuple[int, int, int], opacity: float
    ) -> None:
        """Where `seen` (T), an ellipse from `a` to `b` (T 3), laid over what is there."""
        frames = np.flatnonzero(seen)
        a, b = a[frames, :2].astype(np.float64), b[frames, :2].astype(np.float64)
        way = a - b
        half = (np.hypot(way[:, 0], way[:, 1]) / 2).astype(np.int64)
        axes = np.stack([half, np.full_like(half, width)], -1)
        degrees = np.degrees(np.arctan2(way[:, 1], way[:, 0])).astype(np.int64)
        at = self._seen(frames, ellipses(((a + b) / 2).astype(np.int64), axes, degrees))
        self.pixels[at] = np.rint((1 - opacity) * self.pixels[at] + opacity * np.array(colour, dtype=np.uint8))


def draw(people: People, height: int, width: int, style: EdnStyle | None = None) -> np.ndarray:
    """Stick figures in the pixels of the poses: uint8 T H W 3, RGB on white.

    Joints first, then limbs in the colour of their first joint, then some points of the face, then the right and the
    left hand. Where joints and limbs lie within the picture, this is exactly the picture that OpenCV draws; at the
    border a few pixels may differ. The official code draws one person; here several follow one another.
    """
    style = style or EdnStyle()
    canvas = _Canvas(people.frames, height, width)
    for person in range(people.persons):
        _draw_body(canvas, people, person, style)
        face = people.face[:, person]
        shown = face[..., 2].mean(-1) >= style.face_confidence
        for point in style.face_points:
            canvas.disc(face[:, point], shown & (face[:, point, 2] > 0), style.face_point, (0, 0, 0))
        for hand in (people.hand_right[:, person], people.hand_left[:, person]):
            _draw_hand(canvas, hand, style)
    return canvas.pixels


def _draw_body(canvas: _Canvas, people: People, person: int, style: EdnStyle) -> None:
    body, skeleton = people.body[:, person], people.skeleton
    seen = body[..., 2] > 0
    for joint, colour in enumerate(skeleton.colours):
        canvas.disc(body[:, joint], seen[:, joint], style.joint, colour)
    for a, b in skeleton.limbs:
        both = seen[:, a] & seen[:, b]
        canvas.limb(body[:, a], body[:, b], both, style.limb, skeleton.colours[a], style.opacity)


def _draw_hand(canvas: _Canvas, hand: np.ndarray, style: EdnStyle) -> None:
    seen = hand[..., 2] > style.hand_confidence
    for joint, colour in enumerate(style.hand_colours):
        canvas.disc(hand[:, joint], seen[:, joint], style.hand_joint, colour)
    for a, b in HAND_21.limbs:
        both = seen[:, a] & seen[:, b]
        canvas.limb(hand[:, a], hand[:, b], both, style.bone, style.hand_colours[b], style.opacity)


def fit_to(people: People, height: int, width: int, canvas: tuple[int, int] = CANVAS) -> People:
    """Poses of frames of `height` x `width` on the canvas: as large as fits, in the middle."""
    scale = min(canvas[0] / height, canvas[1] / width)
    return people.transformed(scale, ((canvas[1] - scale * width) / 2, (canvas[0] - scale * height) / 2))


def labels(
    people: People,
    height: int,
    width: int,
    size: tuple[int, int] = LABEL,
    style: EdnStyle | None = None,
    canvas: tuple[int, int] = CANVAS,
) -> np.ndarray:
    """Label pictures as in the released data: drawn on the large canvas, then scaled down (Lanczos).

    Args:
        people: in frames of `height` x `width`.
        size: height and width of the labels.
        canvas: height and width in which they are drawn.

    Returns:
        uint8 T H W 3, RGB.
    """
    fitted = fit_to(people, height, width, canvas)
    return np.concatenate([_scaled(draw(part, *canvas, style), size) for part in _chunks(fitted)])


def _chunks(people: People) -> Iterator[People]:
    for start in range(0, people.frames, CHUNK):
        part = slice(start, start + CHUNK)
        yield People(
            people.skeleton, people.body[part], people.face[part], people.hand_left[part], people.hand_right[part]
        )


def _scaled(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    resize = [Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.LANCZOS) for frame in frames]
    return np.stack([np.asarray(image) for image in resize])
