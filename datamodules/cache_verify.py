"""Whether a cache still holds what was written into it."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from datamodules.build_progress import BuildProgress
from datamodules.errors import BenchError
from datamodules.store import FRAMES, Cache

BLOCK = 1 << 20


def damaged_videos(cache: Cache) -> list[tuple[str, str]]:
    """(name, reason) of the videos whose frames no longer have the digest that the index names.

    Raises:
        BenchError: the frames cannot be read.
    """
    found = []
    try:
        with (cache.folder / FRAMES).open("rb") as file, BuildProgress("verifying", len(cache.names)) as progress:
            for name, length, pixels in zip(cache.names, cache.lengths, cache.pixels, strict=True):
                digest = hashlib.blake2b(digest_size=16)
                for block in _blocks(file, int(length) * cache.record.itemsize):
                    digest.update(block)
                if digest.hexdigest() != pixels:
                    found.append((name, f"its frames have the digest {digest.hexdigest()}, the index names {pixels}"))
                progress.advance(videos=1, frames=int(length))
    except OSError as error:
        raise BenchError(f"{cache.folder / FRAMES} cannot be read: {error.strerror}") from error
    return found


def _blocks(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left and (block := file.read(min(left, BLOCK))):
        left -= len(block)
        yield block
