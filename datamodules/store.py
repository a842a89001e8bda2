"""A finished cache, opened read-only, and the part of it that one split reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import BenchError
from datamodules.frame_record import VIDEO, record_dtype
from datamodules.tracks import BETWEEN, Track, in_batch

FRAMES, INDEX, MANIFEST = "frames.u8", "index.npz", "manifest.json"
ATTRIBUTE = "attribute/"  # prefix of the index's keys


class CachedStore:
    """Videos in a memory-mapped file; satisfies `datamodules.base.TrackStore`.

    Pickled without the map: a loader worker opens the file anew.

    Args:
        path: the frames, one `record` each without a header.
        record: see `frame_record.record_dtype`.
        offsets: first frame of each video.
        lengths: frames of each video.
    """

    def __init__(
        self,
        path: Path,
        record: np.dtype,
        offsets: np.ndarray,
        lengths: np.ndarray,
        names: list[str],
        attributes: Mapping[str, np.ndarray],
        digest: str,
    ) -> None:
        self.path, self.record, self.offsets = path, record, offsets
        self.lengths, self.names, self.attributes, self.digest = lengths, names, attributes, digest
        self._map: np.ndarray | None = None

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B), copied in one indexing operation.

        In memory they lie as B C T H W, so `ClipData.batch` need not copy them again.
        """
        return self._video(self._rows(videos, frames)).transpose(0, 2, 3, 4, 1)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """See `TrackStore`.

        Raises:
            BenchError: flow is asked for between frames that do not follow each other.
        """
        if keys & BETWEEN and (np.diff(frames) != 1).any():
            raise BenchError(
                f"{', '.join(sorted(keys & BETWEEN))}: a cache holds what runs between neighbouring frames, but the "
                f"clip takes every {np.diff(frames).max()}-th; set data.init_args.stride to 1"
            )
        rows = self._rows(videos, frames)
        out = {key: in_batch(key, self._mapped()[key][rows]) for key in keys - {VIDEO}}
        if VIDEO in keys:
            out[VIDEO] = self._video(rows)
        return out

    def _rows(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Places of the frames in the file, B T."""
        lengths = self.lengths[videos][:, None]
        if ((frames < 0) | (frames >= lengths)).any():  # the next video's frames would be read
            raise IndexError(
                f"{self.path}: frame numbers {frames.min()}..{frames.max()} of videos of {lengths.ravel()}"
            )
        return self.offsets[videos][:, None] + frames

    def _video(self, rows: np.ndarray) -> np.ndarray:
        """uint8 B C T H W."""
        planes = self._mapped()[VIDEO]
        return planes[rows[:, None, :], np.arange(planes.shape[1])[:, None]]

    def _mapped(self) -> np.ndarray:
        if self._map is None:
            # A plain array over the map: np.memmap's own indexing costs more than the copy.
            self._map = np.asarray(np.memmap(self.path, dtype=self.record, mode="r"))
        return self._map

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
        self.record = _record(manifest)
        self.total = len(manifest["sources"])
        self.skipped = [(name, reason) for name, reason in manifest["skipped"]]
        self.dropped = [(name, reason) for name, reason in manifest["dropped"]]
        self.cut = [(name, reason) for name, reason in manifest["cut"]]
        self.names = [str(name) for name in index["name"]]
        self.offsets, self.lengths, self.pixels = index["offset"], index["length"], index["pixels"]
        self.attributes = {k.removeprefix(ATTRIBUTE): v for k, v in index.items() if k.startswith(ATTRIBUTE)}

    def _read(self, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(), object_hook=_uncounted)
            raw = (self.folder / INDEX).read_bytes()
            found, expected = (self.folder / FRAMES).stat().st_size, self._bytes(manifest)
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

    @staticmethod
    def _bytes(manifest: Mapping[str, Any]) -> int:
        return int(manifest["shape"][0]) * _record(manifest).itemsize

    def select(self, rows: np.ndarray) -> CachedStore:
        """The videos `rows`. Their digest is of pixels, order and attributes, so it does not depend on how, where or
        with which library versions the cache was built, as long as the frames are the same.
        """
        attributes = {name: values[rows] for name, values in self.attributes.items()}
        return CachedStore(
            path=self.folder / FRAMES,
            record=self.record,
            offsets=self.offsets[rows],
            lengths=self.lengths[rows],
            names=[self.names[row] for row in rows],
            attributes=attributes,
            digest=self._digest(rows, attributes).hexdigest(),
        )

    def join(self, parts: Sequence[np.ndarray], names: list[str], attributes: Mapping[str, np.ndarray]) -> CachedStore:
        """Videos of which each joins entries that follow one another, as where every entry is a single frame.

        Args:
            parts: rows of each video, every one the row before plus 1.
            names, attributes: of the videos.
        """
        rows = np.concatenate(parts)
        lengths = np.array([self.lengths[part].sum() for part in parts], dtype=np.int64)
        digest = self._digest(rows, attributes)
        digest.update(lengths.astype("<i8").tobytes())
        return CachedStore(
            path=self.folder / FRAMES,
            record=self.record,
            offsets=self.offsets[[part[0] for part in parts]],
            lengths=lengths,
            names=names,
            attributes=attributes,
            digest=digest.hexdigest(),
        )

    def _digest(self, rows: np.ndarray, attributes: Mapping[str, np.ndarray]) -> "hashlib.blake2b":
        """Of pixels, order and attributes."""
        described = repr(self.shape[1:]) + (repr(self.record.descr) if self.record.names != (VIDEO,) else "")
        digest = hashlib.blake2b(described.encode(), digest_size=8)
        digest.update("".join(self.pixels[rows]).encode())
        for name in sorted(attributes):
            digest.update(name.encode() + attributes[name].astype("<i8").tobytes())
        return digest


def _uncounted(found: dict[str, Any]) -> dict[str, Any] | None:
    """Nothing of what became of each file, only that there was one: a set may have half a million of them."""
    return None if "blake2b" in found else found


def _record(manifest: Mapping[str, Any]) -> np.dtype:
    tracks = {key: Track(str(dtype), tuple(shape)) for key, (dtype, shape) in manifest["tracks"].items()}
    _, channels, height, width = manifest["shape"]
    return record_dtype((channels, height, width), tracks)
