"""What of a puppet video is kept in a cache, and how it is turned into a batch's conventions."""

import numpy as np

from datamodules.errors import BenchError
from datamodules.synthetic.puppet.store import PuppetStore
from datamodules.tracks import Track

TRUTH = (
    "pose",
    "labels",
    "instances",
    "mask",
    "face_box",
    "flow",
    "flow_valid",
    "flow_back",
    "flow_back_valid",
)


class BatchPuppets(PuppetStore):
    """Puppets as other data sets give theirs: pixel centres at whole numbers, face boxes as y0, y1, x0, x1."""

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """See `datamodules.base.TrackStore`."""
        out = super().tracks(videos, frames, keys)
        if "pose" in out:
            out["pose"] = out["pose"] - np.array([0.5, 0.5, 0], dtype=np.float32)
        if "face_box" in out:
            out["face_box"] = out["face_box"][..., [1, 3, 0, 2]]  # left, top, right, bottom -> y0, y1, x0, x1
        return out


def track(key: str, height: int, width: int, persons: int, joints: int) -> Track:
    """How a cache holds it; flow in 1/32 pixel."""
    if key == "pose":
        return Track("float32", (persons, joints, 3))
    if key == "face_box":
        return Track("float32", (4,))
    if key in ("flow", "flow_back"):
        return Track("int16", (2, height, width))
    return Track("uint8", (height, width))


def check_truth(truth: tuple[str, ...]) -> None:
    """Raises `BenchError` for what puppets do not know."""
    unknown = sorted(set(truth) - set(TRUTH))
    if unknown:
        raise BenchError(f"data.init_args.truth names {', '.join(unknown)}; puppets know {', '.join(TRUTH)}")
