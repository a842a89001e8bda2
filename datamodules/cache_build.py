"""Writes a cache folder: beside its place first, then renamed, so that it appears whole or not at all."""

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np

from datamodules.bad_files import BadFile, DroppedFile, listed
from datamodules.content import Content, Source, fingerprint
from datamodules.errors import BenchError
from datamodules.files import cannot_write, free_bytes, readable_size, sync_folder, write_whole
from datamodules.store import ATTRIBUTE, FRAMES, INDEX, MANIFEST

SCHEMA = 1  # of the folder's layout and of what readers mean by their policy

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Makes frames from a file.

    Attributes:
        policy: JSON-able; everything that decides the pixels, library versions with it.
        shape: H, W, C of a frame.
    """

    @property
    def policy(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102

    def count(self, path: Path) -> int:
        """Frames of the video, from the header alone. Raises `BadFile` or `DroppedFile`."""
        ...

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W C. Raises `BadFile` or `DroppedFile`."""
        ...


class _LeftOut:
    """Files that could not be used, with the reason."""

    def __init__(self) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.dropped: list[tuple[str, str]] = []

    def attempt(self, source: Source, action: Callable[[Path], T]) -> T | None:
        """`action` on the file; None where the file is left out."""
        try:
            return action(source.path)
        except BadFile as error:
            self.skipped.append((source.name, str(error)))
        except DroppedFile as error:
            self.dropped.append((source.name, str(error)))
        return None

    def require(self, good: Sequence[object], folder: Path) -> None:
        """Raises `BenchError` where no file is left."""
        if not good:
            entries = listed([*self.skipped, *self.dropped])
            raise BenchError(f"{folder.name}: none of the files can be used:\n{entries}")


def build(folder: Path, key: str, sources: Sequence[Source], content: Content, reader: Reader) -> None:
    """Makes the cache `folder`; see `datamodules.cache.open_cache`, which calls this under a lease."""
    left_out = _LeftOut()
    counts = [(source, left_out.attempt(source, reader.count)) for source in sources]
    good = [source for source, count in counts if count is not None]
    left_out.require(good, folder)
    height, width, channels = reader.shape
    frames = sum(count for _, count in counts if count is not None)
    need, free = frames * height * width * channels, free_bytes(folder)
    if need > free:
        raise BenchError(
            f"the cache of {len(good)} videos needs {readable_size(need)}, but {folder.parent} has "
            f"{readable_size(free)} free; free space, or point REELBENCH_CACHE to another disk"
        )
    log.info("building %s: %d videos, %d frames, %s", folder, len(good), frames, readable_size(need))
    half = folder.with_name(f".{folder.name}.building-{uuid.uuid4().hex[:8]}")
    try:
        half.mkdir()
        with (half / FRAMES).open("wb") as out:
            index = _decode(good, reader, out, left_out)
            out.flush()
            os.fsync(out.fileno())
        left_out.require(index["name"].tolist(), folder)
        if fingerprint(sources) != content.fingerprint:
            raise BenchError(f"files of {folder.name} changed while they were read; start again when they are complete")
        raw = _packed(index)
        write_whole(half / INDEX, raw)
        manifest = {
            "key": key,
            "schema": SCHEMA,
            "policy": dict(reader.policy),
            "shape": [int(index["length"].sum()), channels, height, width],
            "index": hashlib.blake2b(raw, digest_size=16).hexdigest(),
            "sources": [
                {"name": source.name, "bytes": size, "blake2b": digest}
                for source, (size, digest) in zip(sources, content.files, strict=True)
            ],
            "skipped": left_out.skipped,
            "dropped": left_out.dropped,
        }
        write_whole(half / MANIFEST, json.dumps(manifest, indent=1))
        _publish(half, folder)
    except OSError as error:
        raise cannot_write(half, error) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    sync_folder(folder.parent)


def _decode(good: Sequence[Source], reader: Reader, out: BinaryIO, left_out: _LeftOut) -> dict[str, np.ndarray]:
    """Appends every video's frames to `out`; the index of what was written."""
    kept, lengths, pixels = [], [], []
    for source in good:
        video = left_out.attempt(source, reader.read)  # T H W C
        if video is None:
            continue
        if video.dtype != np.uint8 or video.shape[1:] != tuple(reader.shape) or not len(video):
            raise TypeError(f"{type(reader).__name__} gave {video.dtype} {video.shape}, not uint8 T {reader.shape}")
        data = np.ascontiguousarray(video.transpose(0, 3, 1, 2)).reshape(-1).data  # T C H W
        out.write(data)
        kept.append(source)
        lengths.append(len(video))
        pixels.append(hashlib.blake2b(data, digest_size=16).hexdigest())
    length = np.array(lengths, dtype=np.int64)
    index = {
        "name": np.array([source.name for source in kept]),
        "length": length,
        "offset": np.cumsum(length) - length,
        "pixels": np.array(pixels),
    }
    for name in good[0].attributes:
        index[ATTRIBUTE + name] = np.array([source.attributes[name] for source in kept], dtype=np.int64)
    return index


def _publish(half: Path, folder: Path) -> None:
    try:
        half.rename(folder)
    except OSError:
        if not folder.exists():  # another builder, who held this one for dead, was first: the content is the same
            raise


def _packed(index: Mapping[str, np.ndarray]) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **index)
    return buffer.getvalue()
