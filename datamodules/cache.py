"""Decoded once: the frames of a data set as one uint8 file, found by its content and by what decides the pixels."""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from datamodules.bad_files import BadFile, DroppedFile, listed
from datamodules.content import Content, Source, fingerprint, identify, remembered
from datamodules.errors import BenchError
from datamodules.files import Lease, cannot_write, describe, free_bytes, readable_size, sync_folder, write_whole
from datamodules.store import ATTRIBUTE, FRAMES, INDEX, MANIFEST, Cache

SCHEMA = 1  # of the folder's layout and of what readers mean by their policy
POLL = 0.5  # seconds between looks at a cache that another process builds

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


def cache_root() -> Path:
    """`REELBENCH_CACHE`, or `~/.cache/reelbench`."""
    return Path(os.environ.get("REELBENCH_CACHE") or "~/.cache/reelbench").expanduser()


def open_cache(dataset: str, sources: Sequence[Source], reader: Reader) -> Cache:
    """The cache of `sources` as `reader` makes frames of them; built first where there is none.

    Content decides which cache: the folder is `<cache root>/<dataset>-<12 digits>`. Of several processes that need it
    one builds and the others wait. Files that cannot be used are left out and listed in the manifest; whether that
    is tolerated is for `bad_files.judge` to say, so a long build is not lost for one broken file.

    Raises:
        BenchError: no file can be used, the disk is too small or fails, or the cache found is damaged.
    """
    memory = cache_root() / "known"
    content = remembered(sources, memory)
    if content is None or not _place(dataset, content, reader)[0].exists():
        content = identify(sources, memory)
    folder, key = _place(dataset, content, reader)
    if not folder.exists():
        _build_once(folder, key, sources, content, reader)
    return Cache(folder, key)


def _place(dataset: str, content: Content, reader: Reader) -> tuple[Path, str]:
    """The cache's folder and its whole key."""
    described = {"content": content.digest, "policy": dict(reader.policy), "schema": SCHEMA}
    key = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()
    return cache_root() / f"{dataset}-{key[:12]}", key


def _build_once(folder: Path, key: str, sources: Sequence[Source], content: Content, reader: Reader) -> None:
    lease = Lease(folder.with_name(f".{folder.name}.lease"))
    told = None
    while not lease.acquire():
        holder = lease.holder()
        if holder and holder != told:
            log.warning("waiting for %s: it builds the cache %s", describe(holder), folder)
            told = holder
        time.sleep(POLL)
        if folder.exists():
            return
    try:
        for half in folder.parent.glob(f".{folder.name}.building-*"):
            log.warning("removing %s, left behind by a process that was killed", half)
            shutil.rmtree(half, ignore_errors=True)
        if not folder.exists():
            _build(folder, key, sources, content, reader)
    finally:
        lease.release()


def _build(folder: Path, key: str, sources: Sequence[Source], content: Content, reader: Reader) -> None:
    before = fingerprint(sources)
    skipped: list[tuple[str, str]] = []
    dropped: list[tuple[str, str]] = []
    good, frames = _plan(sources, reader, skipped, dropped)
    need, free = frames * int(np.prod(reader.shape)), free_bytes(folder)
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
            index = _decode(good, reader, out, skipped, dropped)
            out.flush()
            os.fsync(out.fileno())
        if fingerprint(sources) != before:
            raise BenchError(f"files of {folder.name} changed while they were read; start again when they are complete")
        raw = _packed(index)
        write_whole(half / INDEX, raw)
        manifest = {
            "key": key,
            "schema": SCHEMA,
            "policy": dict(reader.policy),
            "shape": [int(index["length"].sum()), *reader.shape],
            "index": hashlib.blake2b(raw, digest_size=16).hexdigest(),
            "sources": [
                {"name": source.name, "bytes": _size(source.path), "blake2b": digest}
                for source, digest in zip(sources, content.hashes, strict=True)
            ],
            "skipped": skipped,
            "dropped": dropped,
        }
        write_whole(half / MANIFEST, json.dumps(manifest, indent=1))
        _publish(half, folder)
    except OSError as error:
        raise cannot_write(half, error) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    sync_folder(folder.parent)


def _publish(half: Path, folder: Path) -> None:
    try:
        half.rename(folder)
    except OSError:
        if not folder.exists():  # another builder, who held this one for dead, was first: the content is the same
            raise


def _plan(
    sources: Sequence[Source], reader: Reader, skipped: list[tuple[str, str]], dropped: list[tuple[str, str]]
) -> tuple[list[Source], int]:
    """The sources whose headers are sound, and their frames."""
    good, frames = [], 0
    for source in sources:
        try:
            frames += reader.count(source.path)
            good.append(source)
        except BadFile as error:
            skipped.append((source.name, str(error)))
        except DroppedFile as error:
            dropped.append((source.name, str(error)))
    _require_some(good, skipped, dropped)
    return good, frames


def _decode(
    good: Sequence[Source],
    reader: Reader,
    out: BinaryIO,
    skipped: list[tuple[str, str]],
    dropped: list[tuple[str, str]],
) -> dict[str, np.ndarray]:
    """Appends every video's frames to `out`; the index of what was written."""
    kept, lengths, pixels = [], [], []
    for source in good:
        try:
            video = np.ascontiguousarray(reader.read(source.path))  # T H W C
        except BadFile as error:
            skipped.append((source.name, str(error)))
            continue
        except DroppedFile as error:
            dropped.append((source.name, str(error)))
            continue
        if video.dtype != np.uint8 or video.shape[1:] != tuple(reader.shape) or not len(video):
            raise TypeError(f"{type(reader).__name__} gave {video.dtype} {video.shape}, not uint8 T {reader.shape}")
        data = video.reshape(-1).data
        out.write(data)
        kept.append(source)
        lengths.append(len(video))
        pixels.append(hashlib.blake2b(data, digest_size=16).hexdigest())
    _require_some(kept, skipped, dropped)
    length = np.array(lengths, dtype=np.int64)
    index = {
        "name": np.array([source.name for source in kept]),
        "length": length,
        "offset": np.cumsum(length) - length,
        "pixels": np.array(pixels),
    }
    for name in kept[0].attributes:
        index[ATTRIBUTE + name] = np.array([source.attributes[name] for source in kept], dtype=np.int64)
    return index


def _require_some(
    good: Sequence[Source], skipped: Sequence[tuple[str, str]], dropped: Sequence[tuple[str, str]]
) -> None:
    if not good:
        raise BenchError(f"none of the files can be used:\n{listed([*skipped, *dropped])}")


def _packed(index: Mapping[str, np.ndarray]) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **index)
    return buffer.getvalue()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
