"""A cache while it is built: frames one after another, and a line for each video that is done."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.files import cannot_write
from datamodules.store import FRAMES

JOURNAL = "journal.jsonl"
BLOCK = 1 << 20

Entry = dict[str, Any]

log = logging.getLogger(__name__)


class Journal:
    """The half-built folder of a cache, taken up where a builder that was killed left it.

    What lies there is trusted only as far as the frames have the digests that the journal names: after a power cut a
    line may have reached the disk before the frames that it speaks of. Frames are written at their final place, so a
    builder who was held for dead and still writes changes nothing: he writes the same bytes.

    Args:
        folder: the cache's place; the half-built folder is hidden beside it.
        key: the cache's.
        names: of the sources, in the order in which they are done.
        frame_bytes: of one frame.
        noun: what the sources are called in messages.

    Attributes:
        half: the half-built folder.
        entries: one for each source that is done: `name`, and `length` with `pixels` (digest), or `skipped` or
            `dropped` with the reason.
        bytes: of the frames of all videos that are done.

    Raises:
        BenchError: the disk refuses.
    """

    def __init__(self, folder: Path, key: str, names: Sequence[str], frame_bytes: int, noun: str = "videos") -> None:
        self._head, self._names, self._frame_bytes = {"key": key}, names, frame_bytes
        self.half = folder.with_name(f".{folder.name}.building-{uuid.uuid4().hex[:8]}")
        self.entries: list[Entry] = []
        try:
            self._open(folder, noun)
        except OSError as error:
            shutil.rmtree(self.half, ignore_errors=True)
            raise cannot_write(self.half, error) from error

    def _open(self, folder: Path, noun: str) -> None:
        self._adopt(sorted(folder.parent.glob(f".{folder.name}.building-*"), key=lambda p: p.stat().st_mtime))
        self.half.mkdir(exist_ok=True)
        (self.half / FRAMES).touch()
        # Unbuffered: what a full disk has refused must not be tried again when the file is closed.
        self._frames = (self.half / FRAMES).open("r+b", buffering=0)
        self.entries = self._sound_entries()
        if self.entries:
            done = len(self.entries)
            log.warning("going on with %s: %d of %d %s are done", folder, done, len(self._names), noun)
        self.bytes = sum(e.get("length", 0) for e in self.entries) * self._frame_bytes
        (self.half / JOURNAL).write_text("".join(map(_line, [self._head, *self.entries])), encoding="utf-8")
        self._lines = (self.half / JOURNAL).open("a", encoding="utf-8")
        self._begin()

    def _adopt(self, left: list[Path]) -> None:
        """The newest half-built folder becomes this one's. Renamed, so that a builder held for dead notices."""
        if left:
            left.pop().rename(self.half)
        for older in left:
            shutil.rmtree(older, ignore_errors=True)

    def _sound_entries(self) -> list[Entry]:
        try:
            lines = (self.half / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            return []
        entries: list[Entry] = []
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line) if line.endswith("\n") else None
            except ValueError:
                break
            if number == 0 and entry != self._head:
                break
            if number and (entry is None or number > len(self._names) or not self._sound(entry, number - 1)):
                break
            entries += [entry] if number and entry is not None else []
        return entries

    def _sound(self, entry: Entry, number: int) -> bool:
        """Whether the entry is of source `number`, and its frames, which follow in the file, are the ones it names."""
        if entry.get("name") != self._names[number]:
            return False
        left, digest = entry.get("length", 0) * self._frame_bytes, hashlib.blake2b(digest_size=16)
        while left:
            block = self._frames.read(min(left, BLOCK))
            if not block:
                return False
            digest.update(block)
            left -= len(block)
        return "length" not in entry or digest.hexdigest() == entry["pixels"]

    def _begin(self) -> None:
        self._frames.seek(self.bytes)
        self._digest, self._written = hashlib.blake2b(digest_size=16), 0

    def write(self, frames: Any) -> None:
        """Appends bytes of the video in hand."""
        left = memoryview(frames)
        while left:
            left = left[self._frames.write(left) :]
        self._digest.update(frames)
        self._written += len(frames)

    def finish(self, entry: Entry) -> None:
        """The source in hand is done; where `entry` names a reason instead of a length its frames are dropped.

        Raises:
            BenchError: another process has taken the build over.
        """
        if not self.half.exists():
            raise BenchError(f"{self.half}: another process has taken this build over; start again to use its cache")
        if "length" in entry:
            entry = {**entry, "pixels": self._digest.hexdigest()}
            self.bytes += self._written
        self.entries.append(entry)
        self._lines.write(_line(entry))
        self._lines.flush()
        self._begin()

    def close(self) -> None:
        """All sources are done: the frames are on the disk, and there are no others."""
        self._frames.truncate(self.bytes)
        os.fsync(self._frames.fileno())
        self.leave()
        (self.half / JOURNAL).unlink()

    def leave(self) -> None:
        """Closes the files."""
        self._frames.close()
        with contextlib.suppress(OSError):  # a full disk; the line that is lost costs one video
            self._lines.close()

    def remove(self) -> None:
        """What is there must not be gone on with."""
        self.leave()
        shutil.rmtree(self.half, ignore_errors=True)


def _line(entry: Entry) -> str:
    return json.dumps(entry, sort_keys=True) + "\n"
