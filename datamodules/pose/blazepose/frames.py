import numpy as np
from PIL import Image

WORKING = 512  # pixels of the longer side that estimators work with; theirs take crops of 128 to 256


def check_frames(frames: np.ndarray) -> None:
    """Raises `ValueError` where `frames` is not uint8 T H W 3."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames must be uint8 T H W 3, found {frames.dtype} {frames.shape}")


def working_copy(frame: np.ndarray) -> tuple[Image.Image, int]:
    """The frame, larger ones averaged down by a whole factor, and the factor."""
    image = Image.fromarray(frame)
    factor = max(1, round(max(image.size) / WORKING))
    return (image.reduce(factor) if factor > 1 else image), factor
