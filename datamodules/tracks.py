"""What is known of each frame beside its pixels: how it lies in a cache, and in a batch."""

from typing import Any, NamedTuple

import numpy as np

from datamodules.batch import FLOW_UNIT
from datamodules.errors import BenchError


class Track(NamedTuple):
    """One value a frame, as a cache holds it.

    Attributes:
        dtype: numpy's name.
        shape: of one frame: `pose` P J 3; `labels`, `instances`, `mask` and validity H W; `condition` C H W; flow
            2 H W; `face_box` 4. What runs between two frames stands at the first; at a video's last frame it is 0.
    """

    dtype: str
    shape: tuple[int, ...]


BETWEEN = frozenset({"flow", "flow_valid", "flow_back", "flow_back_valid"})  # of two frames: a single one has none
# Of a source picture: the key of a batch, and that of the frame which it is.
SOURCES = {"source": "video", "source_pose": "pose", "source_mask": "mask", "source_labels": "labels"}
_CHANNELS = frozenset({"condition", "flow", "flow_back", "pose"})  # the first axis of a frame goes before time
_PLANES = frozenset({"mask", "flow_valid", "flow_back_valid"})  # a frame is H W, a batch has a channel axis of 1


def in_batch(key: str, values: np.ndarray) -> np.ndarray:
    """B T ... as they are cached -> the layout of `VideoBatch`, without a copy.

    Args:
        key: of `VideoBatch`; video frames are no track.
        values: one row a frame.

    Returns:
        `pose` B P T J 3; `condition` B C T H W; `mask` B 1 T H W; flow B 2 T-1 H W and its validity B 1 T-1 H W;
        others as they are.
    """
    if key in BETWEEN:
        values = values[:, :-1]
    if key in _PLANES:
        return values[:, None]
    return np.moveaxis(values, 2, 1) if key in _CHANNELS else values


def still(key: str, values: Any) -> Any:
    """The one frame of a clip: an array or tensor as `in_batch` lays it, without its axis of time."""
    return values[:, 0] if key == "labels" else values[:, :, 0]


def per_frame(key: str, values: np.ndarray) -> np.ndarray:
    """The inverse of `in_batch`: B T ... with zeros at a clip's last frame for what runs between frames."""
    if key in _PLANES:
        values = values[:, 0]
    elif key in _CHANNELS:
        values = np.moveaxis(values, 1, 2)
    if key in BETWEEN:
        values = np.concatenate([values, np.zeros_like(values, shape=(len(values), 1, *values.shape[2:]))], axis=1)
    return values


def pack_flow(flow: np.ndarray) -> np.ndarray:
    """Flow in pixels -> int16 in 1/32 pixel, rounded; what exceeds 1023.97 pixels is cut to that.

    -32768 is not used, so every value can be negated.

    Raises:
        BenchError: a value is NaN or infinite.
    """
    if not np.isfinite(flow).all():
        raise BenchError("optical flow holds NaN or infinite values; mark unknown pixels in flow_valid instead")
    largest = np.iinfo(np.int16).max
    return np.clip(np.rint(flow / FLOW_UNIT), -largest, largest).astype(np.int16)
