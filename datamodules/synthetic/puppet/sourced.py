"""Puppet clips, or single pictures, each with a picture of the same persons elsewhere."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from datamodules.base import TrackStore
from datamodules.tracks import SOURCES, still


class SourcedStore:
    """Item k is video k of the clips, and source k beside it; satisfies `datamodules.base.TrackStore`.

    Args:
        clips: videos of any length.
        sources: as many videos of one frame, of the same persons.

    Attributes:
        attributes: the clips'; those of the sources but the persons as `source_*`.
    """

    def __init__(self, clips: TrackStore, sources: TrackStore) -> None:
        if len(clips.lengths) != len(sources.lengths):
            raise ValueError(f"{len(clips.lengths)} clips cannot have {len(sources.lengths)} sources")
        self.clips, self.sources = clips, sources
        self.lengths, self.names = clips.lengths, clips.names
        others = {f"source_{k}": v for k, v in sources.attributes.items() if not k.startswith("subject")}
        self.attributes: Mapping[str, np.ndarray] = {**clips.attributes, **others}

    @cached_property
    def digest(self) -> str:
        """Of both."""
        return hashlib.blake2b(f"{self.clips.digest} {self.sources.digest}".encode(), digest_size=8).hexdigest()

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: the clips."""
        return self.clips.gather(videos, frames)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """What is known of the clips, and `source` B C H W, `source_pose` B P J 3, `source_mask` B 1 H W,
        `source_labels` B H W.
        """
        out = self.clips.tracks(videos, frames, keys - set(SOURCES))
        if asked := {key: SOURCES[key] for key in keys & set(SOURCES)}:
            read = self.sources.tracks(videos, np.zeros((len(videos), 1), np.int64), frozenset(asked.values()))
            out |= {key: still(of, read[of]) for key, of in asked.items()}
        return out
