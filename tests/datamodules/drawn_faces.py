"""Drawn faces that talk, with their 68 landmarks in iBUG's order."""

import numpy as np
from PIL import Image, ImageDraw


def landmarks(x: float, y: float, width: float, mouth: float = 0.3) -> np.ndarray:
    """float64 68 2 of an upright face: its own right side is on the left of the picture.

    Args:
        x, y: the middle between the eyes, in pixels.
        width: of the face at the ears.
        mouth: how far it is open, 0 to 1.
    """
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([np.cos(turn) / 2, 0.1 + 0.62 * np.sin(turn)], -1)
    arch = np.stack([np.linspace(-0.13, 0.13, 5), np.array([0.02, -0.02, -0.03, -0.02, 0.02])], -1)
    brows = [arch + np.array([side * 0.23, -0.14]) for side in (-1, 1)]
    bridge = np.stack([np.zeros(4), np.linspace(0, 0.24, 4)], -1)
    nostrils = np.stack([np.linspace(-0.09, 0.09, 5), 0.28 + np.array([0, 0.02, 0.03, 0.02, 0])], -1)
    eye = np.array([[-0.08, 0], [-0.03, -0.035], [0.03, -0.035], [0.08, 0], [0.03, 0.035], [-0.03, 0.035]])
    eyes = [eye + np.array([side * 0.22, 0]) for side in (-1, 1)]
    around = np.pi + np.arange(12) * np.pi / 6  # from the mouth's right corner over the upper lip
    outer = np.stack([0.2 * np.cos(around), (0.05 + 0.1 * mouth) * np.sin(around)], -1) + np.array([0, 0.44])
    around = np.pi + np.arange(8) * np.pi / 4
    inner = np.stack([0.14 * np.cos(around), (0.01 + 0.09 * mouth) * np.sin(around)], -1) + np.array([0, 0.44])
    points = np.concatenate([jaw, *brows, bridge, nostrils, *eyes, outer, inner])
    return points * width + np.array([x, y])


def picture(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 H W 3 of the face with these landmarks before a striped wall."""
    image = Image.new("RGB", (width, height), (90, 110, 140))
    draw = ImageDraw.Draw(image)
    for left in range(0, width, 32):
        draw.rectangle([left, 0, left + 15, height], fill=(70, 90, 120))
    (x0, y0), (x1, y1) = points[:17].min(0), points[:17].max(0)
    draw.ellipse([x0, 2 * y0 - y1, x1, y1], fill=(230, 190, 160))
    for first, last, colour in ((36, 42, (250, 250, 250)), (42, 48, (250, 250, 250)), (48, 60, (180, 60, 60))):
        draw.polygon([tuple(p) for p in points[first:last].tolist()], fill=colour)
    draw.polygon([tuple(p) for p in points[60:68].tolist()], fill=(60, 10, 10))
    for first, last in ((17, 22), (22, 27), (27, 31), (31, 36)):
        draw.line([tuple(p) for p in points[first:last].tolist()], fill=(80, 50, 30), width=2)
    return np.asarray(image)


def talking(frames: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 T H W 3 of a head that moves to the right while its mouth opens and closes; its points T 68 2."""
    points = np.stack([
        landmarks(width / 2 + t, height / 2.4, height / 3, mouth=abs(np.sin(t / 2))) for t in range(frames)
    ])  # fmt: skip
    return np.stack([picture(p, height, width) for p in points]), points
