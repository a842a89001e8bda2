"""Decoded once: the frames of a data set as one uint8 file, found by its content and by what decides the pixels."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from datamodules.cache_build import SCHEMA, Reader, build
from datamodules.cache_stage import staged
from datamodules.content import Content, Source, identify, remembered
from datamodules.errors import BenchError
from datamodules.files import Lease, describe
from datamodules.store import Cache

POLL = 0.5  # seconds between looks at a cache that another process builds

log = logging.getLogger(__name__)


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
    return cache_at(dataset, _place(dataset, content, reader)[1], sources, content, reader)


def cache_at(dataset: str, key: str, sources: Sequence[Source], content: Content, reader: Reader) -> Cache:
    """The cache of that key; built first where there is none."""
    folder = _folder(dataset, key)
    if not folder.exists():
        _build_once(folder, key, sources, content, reader)
    return Cache(staged(folder), key)


def built_cache(dataset: str, sources: Sequence[Source], reader: Reader) -> Cache:
    """The cache that `open_cache` built of these files, as they are now; never builds or copies.

    Raises:
        BenchError: there is none, or it is damaged.
    """
    content = remembered(sources, cache_root() / "known") or identify(sources, cache_root() / "known")
    folder, key = _place(dataset, content, reader)
    if not folder.exists():
        others = sorted(path.name for path in folder.parent.glob(f"{dataset}-*"))
        there = f"; there are {', '.join(others)}, of other files or another policy" if others else ""
        raise BenchError(f"there is no cache of these files: {folder} is missing{there}; reelbench data build makes it")
    return Cache(folder, key)


def _place(dataset: str, content: Content, reader: Reader) -> tuple[Path, str]:
    """The cache's folder and its whole key."""
    described = {"content": content.digest, "policy": dict(reader.policy), "schema": SCHEMA}
    key = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()
    return _folder(dataset, key), key


def _folder(dataset: str, key: str) -> Path:
    return cache_root() / f"{dataset}-{key[:12]}"


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
        if not folder.exists():
            build(folder, key, sources, content, reader)
    finally:
        lease.release()
