"""Optical flow of real clips by OpenCV's DIS, and where it can be trusted."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from datamodules.errors import BenchError

LEAST = 128  # pixels of the shorter side at which flow is estimated: on 64 DIS errs twice as much


class Flow(NamedTuple):
    """Flow between neighbouring frames of a clip, in pixels (x, y).

    Attributes:
        forward: float32 2 T-1 H W: what is at p in frame t is at p + forward[:, t, p] in frame t + 1.
        backward: float32 2 T-1 H W: what is at p in frame t + 1 is at p + backward[:, t, p] in frame t. Frame t sampled
            there is frame t + 1, as vid2vid warps.
        valid: bool T-1 H W, of frame t: the point is seen in frame t + 1 and both directions agree.
        back_valid: bool T-1 H W, of frame t + 1, the same for `backward`.
    """

    forward: np.ndarray
    backward: np.ndarray
    valid: np.ndarray
    back_valid: np.ndarray


def opencv() -> ModuleType:
    """OpenCV, imported when it is needed.

    Raises:
        BenchError: it is not installed; names the extra.
    """
    try:
        import cv2
    except ImportError as error:
        raise BenchError(
            f"optical flow of real videos needs OpenCV ({error}); install the extra: pip install 'reelbench[flow]'"
        ) from error
    return cv2


def policy(least: int = LEAST) -> dict[str, Any]:
    """All that decides the flow beside the frames, for the key of a cache."""
    return {"flow": "dis medium", "least": least, "opencv": opencv().__version__}


def estimate(frames: np.ndarray, least: int = LEAST) -> Flow:
    """Flow of a clip by DIS with its `medium` preset.

    Args:
        frames: uint8 T H W C with C 1 or 3, at least 16 pixels high and wide.
        least: smaller frames are enlarged until their shorter side has so many pixels, and the flow is scaled back.

    Raises:
        BenchError: OpenCV is missing, or `frames` is something else.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] not in (1, 3) or min(frames.shape[1:3]) < 16:
        raise BenchError(
            f"flow takes uint8 frames T H W C with 1 or 3 channels of at least 16x16 pixels, got {frames.dtype} "
            f"{frames.shape}"
        )
    cv2 = opencv()
    height, width = frames.shape[1:3]
    enlarge = max(1.0, least / min(height, width))
    shape = (round(height * enlarge), round(width * enlarge))
    grey = [_grey(cv2, frame, shape) for frame in frames]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = len(frames) - 1
    flows = np.zeros((2, pairs, height, width, 2), dtype=np.float32)
    valid = np.zeros((2, pairs, height, width), dtype=bool)
    back_to_size = np.array([width / shape[1], height / shape[0]], dtype=np.float32)
    for pair in range(pairs):
        both = (dis.calc(grey[pair], grey[pair + 1], None), dis.calc(grey[pair + 1], grey[pair], None))
        for way, (there, back) in enumerate((both, both[::-1])):
            agree = consistent(there, back).astype(np.float32)
            if shape != (height, width):
                there = cv2.resize(there, (width, height), interpolation=cv2.INTER_AREA) * back_to_size
                agree = cv2.resize(agree, (width, height), interpolation=cv2.INTER_AREA)
            flows[way, pair], valid[way, pair] = there, agree >= 0.5
    forward, backward = np.ascontiguousarray(flows.transpose(0, 4, 1, 2, 3))
    return Flow(forward, backward, *valid)


def consistent(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where a point that goes `there` comes `back` to its place: bool H W, false where it leaves the frame.

    The rule of Sundaram, Brox and Keutzer (ECCV 2010): |there + back|^2 <= 0.01 (|there|^2 + |back|^2) + 0.5.

    Args:
        there: H W 2 (x, y) on one frame, back: H W 2 on the frame it leads to.
    """
    cv2 = opencv()
    height, width = there.shape[:2]
    x = np.arange(width, dtype=np.float32) + there[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + there[..., 1]
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # A frame ends half a pixel beyond the centres of its outermost pixels.
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    gap = ((there + returned) ** 2).sum(-1)
    return inside & (gap <= 0.01 * ((there**2).sum(-1) + (returned**2).sum(-1)) + 0.5)


def _grey(cv2: ModuleType, frame: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    grey = frame[..., 0] if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if grey.shape == shape:
        return np.ascontiguousarray(grey)
    return cv2.resize(np.ascontiguousarray(grey), shape[::-1], interpolation=cv2.INTER_CUBIC)
