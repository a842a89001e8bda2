"""Strips whose every frame is known."""

from pathlib import Path

import numpy as np
from PIL import Image


def noise_video(seed: int, frames: int = 32, height: int = 8, width: int = 8) -> np.ndarray:
    """uint8 T H W 3."""
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def strip_of(video: np.ndarray, vertical: bool = False) -> Image.Image:
    """Frames side by side, or one below the other."""
    return Image.fromarray(np.concatenate(list(video), axis=0 if vertical else 1))


def save_strip(path: Path, video: np.ndarray, format: str = "PNG", vertical: bool = False) -> None:
    """Writes `video`; the name does not decide the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    strip_of(video, vertical).save(path, format)


def strip_folder(root: Path, categories: dict[str, int], frames: int = 32) -> Path:
    """So many strips a category, numbered through, of noise keyed by their number."""
    number = 0
    for category, count in categories.items():
        for _ in range(count):
            save_strip(root / category / f"{number:08}.png", noise_video(number, frames))
            number += 1
    return root
