"""A finished cache, opened read-only, and the part of it that one split reads."""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import BenchError

FRAMES, INDEX, MANIFEST = "frames.u8", "index.npz", "manifest.json"
ATTRIBUTE = "attribute/"  # prefix of the index's keys


class CachedStore:
    """Videos in a memory-mapped file; satisfies `datamodules.base.Store`.

    Pickled without the map: a loader worker opens the file anew.

    Args:
        path: the frames, uint8 N C H W without a header. Planar, so that one copy gives clips as they travel.
        shape: N, C, H, W.
        offsets: first frame of each video.
        lengths: frames of each video.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int, int],
        offsets: np.ndarray,
        lengths: np.ndarray,
        names: list[str],
        attributes: Mapping[str, np.ndarray],
        digest: str,
    ) -> None:
        self.path, self.shape, self.offsets = path, shape, offsets
        self.lengths, self.names, self.attributes, self.digest = lengths, names, attributes, digest
        self._map: np.ndarray | None = None

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B), copied in one indexing operation.

        In memory they lie as B C T H W, so `ClipData.batch` need not copy them again.
        """
        lengths = self.lengths[videos][:, None]
        if ((frames < 0) | (frames >= lengths)).any():  # the next video's frames would be read
            raise IndexError(
                f"{self.path}: frame numbers {frames.min()}..{frames.max()} of videos of {lengths.ravel()}"
            )
        if self._map is None:
            count, channels, height, width = self.shape
            planes = (count * channels, height, width)
            # A plain array over the map: np.memmap's own indexing costs more than the copy.
            self._map = np.asarray(np.memmap(self.path, dtype=np.uint8, mode="r", shape=planes))
        first = (self.offsets[videos][:, None] + frames) * self.shape[1]
        clips = self._map[first[:, None, :] + np.arange(self.shape[1])[:, None]]  # B C T H W
        return clips.transpose(0, 2, 3, 4, 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


class Cache:
    """All videos of a cache folder.

    Attributes:
        names, lengths, attributes: per video, in the order of the frames.
        pixels: digest of each video's frames as they lie in the file.
        total: files that the data set had, usable or not.
        skipped: (name, reason) of the files that could not be used.
        dropped: (name, reason) of those that the data set's rule left out.
        cut: (name, reason) of the videos of which only the sound frames before a break are here.

    Raises:
        BenchError: the folder is damaged. It is not rebuilt by itself: other runs may be reading it, and a cache, which
            appears whole or not at all, is damaged only by a failing disk or by hand.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        manifest, index = self._read(key)
        self.shape: tuple[int, int, int, int] = tuple(manifest["shape"])
        self.total = len(manifest["sources"])
        self.skipped = [(name, reason) for name, reason in manifest["skipped"]]
        self.dropped = [(name, reason) for name, reason in manifest["dropped"]]
        self.cut = [(name, reason) for name, reason in manifest["cut"]]
        self.names = [str(name) for name in index["name"]]
        self.offsets, self.lengths, self.pixels = index["offset"], index["length"], index["pixels"]
        self.attributes = {k.removeprefix(ATTRIBUTE): v for k, v in index.items() if k.startswith(ATTRIBUTE)}

    def _read(self, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
            raw = (self.folder / INDEX).read_bytes()
            found, expected = (self.folder / FRAMES).stat().st_size, int(np.prod(manifest["shape"]))
            if manifest["key"] != key:
                raise ValueError(f"{MANIFEST} is of another cache, {manifest['key']}")
            if found != expected:
                raise ValueError(f"{FRAMES} has {found} bytes, expected {expected}")
            if hashlib.blake2b(raw, digest_size=16).hexdigest() != manifest["index"]:
                raise ValueError(f"{INDEX} is not the one that was written")
            with np.load(BytesIO(raw)) as index:
                return manifest, dict(index)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchError(
                f"the cache {self.folder} is damaged ({type(error).__name__}: {error}). Delete this folder once no run "
                "reads it, then start again: it is rebuilt from the data set"
            ) from error

    def select(self, rows: np.ndarray) -> CachedStore:
        """The videos `rows`. Their digest is of pixels, order and attributes, so it does not depend on how, where or
        with which library versions the cache was built, as long as the frames are the same.
        """
        attributes = {name: values[rows] for name, values in self.attributes.items()}
        digest = hashlib.blake2b(repr(self.shape[1:]).encode(), digest_size=8)
        digest.update("".join(self.pixels[rows]).encode())
        for name in sorted(attributes):
            digest.update(name.encode() + attributes[name].astype("<i8").tobytes())
        return CachedStore(
            path=self.folder / FRAMES,
            shape=self.shape,
            offsets=self.offsets[rows],
            lengths=self.lengths[rows],
            names=[self.names[row] for row in rows],
            attributes=attributes,
            digest=digest.hexdigest(),
        )
