"""Frames and tracks read from their files when they are asked for; those read last stay in memory."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.cache import cache_root
from datamodules.content import identify, remembered
from datamodules.errors import BenchError
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.reader import FrameReader
from datamodules.tracks import in_batch

KEEP = 2 * 2**30  # bytes of frames and tracks kept


class FileStore:
    """Videos of one split; satisfies `datamodules.base.TrackStore`.

    Args:
        sources: the videos, all with the same attributes.
        reader: makes frames and tracks of them.
        keep: bytes of frames and tracks that stay in memory. A set that fits is decoded once.
    """

    def __init__(self, sources: Sequence[FrameSource], reader: FrameReader, keep: int = KEEP) -> None:
        self.sources, self.reader, self.keep = list(sources), reader, keep
        self.lengths = np.array([len(source) for source in sources], dtype=np.int64)
        self.names = [source.name for source in sources]
        self.attributes: Mapping[str, np.ndarray] = {
            key: np.array([source.attributes[key] for source in sources], dtype=np.int64)
            for key in sources[0].attributes
        }
        self._kept: OrderedDict[tuple[int, int], dict[str, np.ndarray]] = OrderedDict()
        self._bytes = 0

    @cached_property
    def digest(self) -> str:
        """Of the files' bytes and of what decides the frames. All files are read for it once, and never again while
        none was touched.
        """
        files = [file for source in self.sources for file in source.files()]
        memory = cache_root() / "known"
        content = remembered(files, memory) or identify(files, memory)
        described = json.dumps([content.digest, dict(self.reader.policy)], sort_keys=True)
        return hashlib.blake2b(described.encode(), digest_size=8).hexdigest()

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B)."""
        return self.tracks(videos, frames, frozenset({"video"}))["video"].transpose(0, 2, 3, 4, 1)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """The `keys` of `VideoBatch` of `frames` (B T) of `videos` (B), as they travel.

        Raises:
            BenchError: a file is missing or broken.
        """
        lengths = self.lengths[videos][:, None]
        if ((frames < 0) | (frames >= lengths)).any():
            raise IndexError(f"frame numbers {frames.min()}..{frames.max()} of videos of {lengths.ravel()} frames")
        clips = [
            [self._frame(v, t, keys) for t in row]
            for v, row in zip(videos.tolist(), frames.tolist(), strict=True)
        ]  # fmt: skip
        out = {}
        for key in keys:
            values = np.stack([np.stack([frame[key] for frame in clip]) for clip in clips])  # B T ...
            out[key] = values.transpose(0, 4, 1, 2, 3) if key == "video" else in_batch(key, values)
        return out

    def _frame(self, video: int, frame: int, keys: Collection[str]) -> dict[str, np.ndarray]:
        kept = self._kept.pop((video, frame), {})
        lacking = [key for key in keys if key not in kept]
        if lacking:
            new = self._read(self.sources[video], frame, lacking)
            self._bytes += sum(value.nbytes for value in new.values())
            kept |= new
        self._kept[video, frame] = kept
        while self._bytes > self.keep and len(self._kept) > 1:
            self._bytes -= sum(value.nbytes for value in self._kept.popitem(last=False)[1].values())
        return kept

    def _read(self, source: FrameSource, frame: int, keys: Sequence[str]) -> dict[str, np.ndarray]:
        tracks = [key for key in keys if key != "video"]
        try:
            new = (
                {k: v[0] for k, v in self.reader.read_tracks(source, frame, frame + 1, tracks).items()}
                if tracks
                else {}
            )
            if "video" in keys:
                new["video"] = self.reader.read(source, frame, frame + 1)[0]
            return new
        except BadFile as error:
            folder = source.frames[frame]["picture"].parent
            raise BenchError(
                f"{source.name}, frame {source.stems[frame]} ({folder}) cannot be used: {error}"
            ) from error
