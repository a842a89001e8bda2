"""Pairs of pictures of one identity: item k is pair k, a source picture with its pose and a target with its own."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch

from datamodules.base import TrackStore
from datamodules.pose.maps import pg2_mask


class PairStore:
    """Videos of one frame, the target; satisfies `datamodules.base.TrackStore`.

    Args:
        images: videos of one frame with the track `pose`, P = 1, of COCO_18.
        pairs: N 2, the images that are source and target of each pair.
        attributes: per pair.
    """

    def __init__(self, images: TrackStore, pairs: np.ndarray, attributes: Mapping[str, np.ndarray]) -> None:
        self.images, self.pairs, self.attributes = images, pairs, attributes
        self.lengths = np.ones(len(pairs), dtype=np.int64)
        self.names = [f"{images.names[source]} -> {images.names[target]}" for source, target in pairs.tolist()]

    @cached_property
    def digest(self) -> str:
        """Of the images, the poses, and which of them are pairs."""
        digest = hashlib.blake2b(self.images.digest.encode(), digest_size=8)
        digest.update(self.pairs.astype("<i8").tobytes())
        return digest.hexdigest()

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B 1 H W C: the targets."""
        return self.images.gather(self.pairs[videos, 1], frames)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """The target's `video` B C 1 H W, `pose` B 1 1 J 3 and PG2's `mask` B 1 1 H W, made from that pose; `source`
        B C H W and `source_pose` B 1 J 3.
        """
        pictures = frozenset({"video"} if keys & {"video", "mask"} else ())
        known = self.images.tracks(self.pairs[videos, 1], frames, pictures | {"pose"})
        if "mask" in keys:
            height, width = known["video"].shape[-2:]
            pose = torch.from_numpy(np.ascontiguousarray(known["pose"][:, 0]))  # B 1 J 3
            known["mask"] = pg2_mask(pose, height, width).mul_(255).numpy()[:, None]  # B 1 1 H W
        if keys & {"source", "source_pose"}:
            pictures = frozenset({"video"} if "source" in keys else ())
            still = self.images.tracks(self.pairs[videos, 0], frames, pictures | {"pose"})
            known |= {"source_pose" if key == "pose" else "source": values[:, :, 0] for key, values in still.items()}
        return {key: known[key] for key in keys}
