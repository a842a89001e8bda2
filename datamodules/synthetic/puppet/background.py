"""Where the person stands: a mottled wall, a floor, the shadow that the person casts on it."""

import numpy as np

from datamodules.synthetic.puppet.body import POINT
from datamodules.synthetic.puppet.geometry import SHORTEST, Camera, Limbs, project
from datamodules.synthetic.puppet.raster import firsts, fragments

GRID = (4, 6)  # knots of the wall's colour down and across, once around where the camera pans
REST = 9  # wall, floor, brightness, shift of the grain, distance of the wall
DRAWS = 3 * GRID[0] * GRID[1] + REST  # uniform numbers that one background takes
SUN = (0.42, 0.5)  # where the shadow of a point of height 1 falls: to the right, and away from the camera
THIN = 0.75  # the floor is seen at a low angle, so shadows are thinner than the limbs
DARK = 0.45  # share of the light that a full shadow takes
# Limbs that cast shadows, by the points at their ends, and their radii in metres.
CASTERS = (
    ("pelvis", "breast", 0.13, 0.14),
    ("skull", "crown", 0.1, 0.1),
    ("right_hip", "right_knee", 0.08, 0.06),
    ("left_hip", "left_knee", 0.08, 0.06),
    ("right_knee", "right_ankle", 0.06, 0.05),
    ("left_knee", "left_ankle", 0.06, 0.05),
    ("right_shoulder", "right_elbow", 0.05, 0.045),
    ("left_shoulder", "left_elbow", 0.05, 0.045),
    ("right_elbow", "right_fingers", 0.045, 0.03),
    ("left_elbow", "left_fingers", 0.045, 0.03),
)
_FROM = np.array([POINT[caster[0]] for caster in CASTERS])
_TO = np.array([POINT[caster[1]] for caster in CASTERS])
_RADII = np.array([caster[2:] for caster in CASTERS], dtype=np.float32)


def paint(uniform: np.ndarray, edge: np.ndarray, grain: np.ndarray, around: bool) -> np.ndarray:
    """Backgrounds, uint8 B 3 H W.

    Args:
        uniform: B DRAWS in [0, 1).
        edge: B, row where the wall meets the floor.
        grain: B H W, -1..1, fine texture.
        around: the right end goes over into the left one, so that columns may be taken modulo W.
    """
    clips, height, width = grain.shape
    knots, rest = np.split(uniform.astype(np.float32), [DRAWS - REST], axis=1)
    down, across = _spline(GRID[0], height, False), _spline(GRID[1], width, around)
    mottle = (down @ knots.reshape(clips * 3, *GRID) @ across.T).reshape(clips, 3, height, width) - np.float32(0.5)
    brightness = 0.2 + 0.25 * rest[:, 6:7]
    wall = mottle * np.float32(0.22) + (brightness + 0.45 * rest[:, :3])[..., None, None]
    # The floor has one colour, brighter towards the camera, and the wall's mottle faintly.
    row = np.arange(height, dtype=np.float32)
    floor = (0.28 + 0.42 * rest[:, 3:6])[..., None] + (row / height - np.float32(0.75)) * np.float32(0.35)  # B 3 H
    ground = mottle * np.float32(0.08) + floor[..., None]
    below = np.clip(row + 1 - edge.astype(np.float32)[:, None], 0, 1)  # B H, how much of the row is floor
    wall += (ground - wall) * below[:, None, :, None]
    wall += (grain * np.float32(0.02))[:, None]
    return np.rint(np.clip(wall, 0, 1) * np.float32(255)).astype(np.uint8)


def shadows(
    points: np.ndarray, camera: Camera, width: np.ndarray, persons: int, image: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Shadows on the floor: pixels (frame * height + y) * width + x, each once, and how dark, float32 in 0..1.

    Args:
        points: F*persons J 3 in body axes; `width` F*persons, factor of the radii.
        image: height and width.
    """
    height = np.maximum(points[..., 1], 0)
    onto = points * np.array([1, 0, 1], dtype=np.float32)
    scale = camera.scale.astype(np.float32)[:, None]
    ground, _ = project(onto, camera)
    x = ground[..., 0] + SUN[0] * scale * height
    y = ground[..., 1] - SUN[1] * scale * height * np.sin(camera.tilt).astype(np.float32)[:, None]
    dx, dy = x[:, _TO] - x[:, _FROM], y[:, _TO] - y[:, _FROM]
    length = np.sqrt(dx * dx + dy * dy)
    point = length < 1e-3
    safe = np.where(point, 1, length)
    radii = (width.astype(np.float32)[:, None] * scale * THIN)[..., None] * _RADII
    zero = np.zeros_like(length)
    each = (x[:, _FROM], y[:, _FROM], np.where(point, 1, dx / safe), dy / safe, np.maximum(length, SHORTEST))
    flat = (*each, radii[..., 0], radii[..., 1], *[zero] * 5)  # as the limbs of a frame, without depth
    found = fragments(Limbs(*(part.reshape(-1, persons * len(CASTERS)) for part in flat)), *image)
    # Dark in the middle of a limb's shadow, fading out to its edge; where shadows overlap the darkest counts.
    dark = found.cover * np.minimum(np.float32(1.4) * (1 - found.v**2), np.float32(1))
    key = (found.pixel << 8) | np.rint(dark * 255).astype(np.int64)
    key.sort()
    last = np.flatnonzero(firsts(key[::-1] >> 8)[::-1])
    return key[last] >> 8, (key[last] & 255).astype(np.float32) / np.float32(255)


def _spline(knots: int, length: int, around: bool) -> np.ndarray:
    """Matrix length x knots, float32: smooth interpolation between knots by cosine weights."""
    place = np.arange(length) / length * (knots if around else knots - 1)
    left = np.floor(place).astype(np.int64)
    weight = (1 - np.cos(np.pi * (place - left))) / 2
    matrix = np.zeros((length, knots), dtype=np.float32)
    matrix[np.arange(length), left % knots] += (1 - weight).astype(np.float32)
    matrix[np.arange(length), (left + 1) % knots] += weight.astype(np.float32)
    return matrix
