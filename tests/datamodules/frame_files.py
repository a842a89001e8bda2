"""Small pictures, maps and key-point files for tests of sets whose frames are many files each."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, pixels: np.ndarray) -> Path:
    """uint8 H W 3, uint8 H W, or uint16 H W (a 16-bit PNG)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def noise(seed: int, height: int = 16, width: int = 32) -> np.ndarray:
    """uint8 H W 3."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(level: int, height: int = 16, width: int = 32) -> np.ndarray:
    """uint8 H W 3 of one level, so a frame can be told by its mean."""
    return np.full((height, width, 3), level, dtype=np.uint8)


def labels(seed: int, classes: int = 35, height: int = 16, width: int = 32) -> np.ndarray:
    """uint8 H W."""
    return np.random.default_rng(seed).integers(0, classes, (height, width), dtype=np.uint8)


def instances(label: np.ndarray) -> np.ndarray:
    """uint16 H W in Cityscapes' numbering: objects from class 24 on are class * 1000 + k."""
    return np.where(label >= 24, label.astype(np.uint16) * 1000 + 1, label).astype(np.uint16)


def save_openpose(path: Path, *people: np.ndarray) -> Path:
    """One frame: bodies J 3 with empty faces and hands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": body.reshape(-1).tolist()} for body in people]}))
    return path


def body(x: float, y: float, joints: int = 25, confidence: float = 1.0) -> np.ndarray:
    """J 3: joint j stands j / 2 pixels right of and below (x, y)."""
    at = np.arange(joints) / 2
    return np.stack([x + at, y + at, np.full(joints, confidence)], -1)
