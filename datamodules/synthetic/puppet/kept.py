"""What of a puppet video is kept in a cache, and how it is turned into a batch's conventions."""

import hashlib
from typing import Any

import numpy as np

from datamodules.errors import BenchError
from datamodules.pose.skeletons import BODY_25, COCO_18
from datamodules.synthetic.puppet.condition import CHANNELS, Condition, edges, sticks
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
DRAWN_LIKE = {"openpose18": COCO_18, "body25": BODY_25}  # the same joints in the same order


class BatchPuppets(PuppetStore):
    """Puppets as other data sets give theirs: pixel centres at whole numbers, face boxes as y0, y1, x0, x1.

    Args:
        split, videos: see `PuppetStore`.
        condition: what `condition` (uint8 B C T H W) is: `edn` or `vid2vid` stick figures, or `edges` of the parts.
        drawn: other arguments of `PuppetStore`.
    """

    def __init__(self, split: str, videos: int = 256, condition: Condition = "none", **drawn: Any) -> None:
        self.condition = condition
        super().__init__(split, videos, **drawn)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """See `datamodules.base.TrackStore`."""
        if "condition" in keys:
            made_of = {"labels", "instances"} if self.condition == "edges" else {"pose"}
            out = super().tracks(videos, frames, (keys - {"condition"}) | made_of)
            drawn = self._drawn_condition(out)
            out = {key: values for key, values in out.items() if key in keys} | {"condition": drawn}
        else:
            out = super().tracks(videos, frames, keys)
        if "pose" in out:
            out["pose"] = out["pose"] - np.array([0.5, 0.5, 0], dtype=np.float32)
        if "face_box" in out:
            out["face_box"] = out["face_box"][..., [1, 3, 0, 2]]  # left, top, right, bottom -> y0, y1, x0, x1
        return out

    def _drawn_condition(self, known: dict[str, np.ndarray]) -> np.ndarray:
        if self.condition == "edges":
            return edges(known["labels"], known["instances"])
        return sticks(self.condition, known["pose"], DRAWN_LIKE[self.skeleton], *self.size)

    def _digest(self) -> str:
        digest = super()._digest()
        if self.condition == "none":
            return digest
        some = np.arange(min(4, len(self.names)))
        drawn = self.tracks(some, np.zeros((len(some), 1), np.int64), frozenset({"condition"}))["condition"]
        return hashlib.blake2b(f"{digest} {self.condition}".encode() + drawn.tobytes(), digest_size=8).hexdigest()


def track(key: str, height: int, width: int, persons: int, joints: int, condition: Condition = "none") -> Track:
    """How a cache holds it; flow in 1/32 pixel."""
    if key == "condition":
        return Track("uint8", (CHANNELS[condition], height, width))
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
