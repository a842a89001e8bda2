"""Downloads a file whole or not at all, and goes on where a broken download stopped."""

import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from datamodules.errors import BenchError
from datamodules.files import cannot_write, free_bytes, readable_size

Report = Callable[[int, int | None], None]
_CHUNK = 2**18
_OFFLINE = "a machine without network takes the file from one that has it: `reelbench weights list` names the folder"
_SILENCE = 60.0  # seconds without a byte after which a connection counts as cut


def download(url: str, part: Path, size: int | None = None, report: Report = lambda done, total: None) -> None:
    """Fetches `url` into `part`, which may hold the beginning of it from an earlier try.

    A cut connection is taken up again as long as each try brings something. What came before is kept only where the
    server says by its entity tag that the file is still the same.

    Args:
        part: not the final name: the caller checks what came, then renames it.
        size: bytes expected, where known.
        report: told the bytes that are there and the bytes expected (None where the server does not say).

    Raises:
        BenchError: the server refuses or cannot be reached, the disk is full, or the connection was cut; `part` then
            keeps what came.
    """
    while True:
        before = _there(part)
        try:
            _attempt(url, part, size, report)
            return
        except _Cut as cut:
            kept = _there(part)
            if kept <= before:
                todo = f"{readable_size(kept)} are kept, the same command goes on from there" if kept else _OFFLINE
                raise BenchError(f"{url}: {cut}; {todo}") from None


class _Cut(Exception):
    """The connection ended before the file did."""


def _attempt(url: str, part: Path, size: int | None, report: Report) -> None:
    start, tag = _there(part), _tag_file(part)
    request = urllib.request.Request(url, headers={"User-Agent": "reelbench", "Accept-Encoding": "identity"})
    if start and tag.exists():
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    else:
        start = 0
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE) as reply:
            if reply.status != 206 or not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                start = 0
            _receive(url, reply, part, start, size, report)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # what is there reaches beyond the file's end: it is not its beginning
            forget(part)
            return _attempt(url, part, size, report)
        raise BenchError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Cut(f"cannot be reached ({getattr(error, 'reason', None) or error})") from error
    return None


def _receive(url: str, reply: Any, part: Path, start: int, size: int | None, report: Report) -> None:
    length = reply.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    if size is not None and total not in (None, size):
        raise BenchError(f"{url}: the server offers {total:,} bytes, {size:,} were expected")
    needed, free = (total or size or 0) - start, free_bytes(part.parent)
    if needed > free:
        raise BenchError(f"{url}: {readable_size(needed)} to come, {readable_size(free)} free in {part.parent}")
    try:
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            _note_tag(reply.headers.get("ETag"), part)
            done = _copy(reply, file, start, total, report)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if isinstance(error, TimeoutError | ConnectionError):
            raise
        raise cannot_write(part, error) from error
    if total is not None and done < total:
        raise _Cut(f"the connection was cut after {done:,} of {total:,} bytes")


def _copy(reply: Any, file: BinaryIO, done: int, total: int | None, report: Report) -> int:
    report(done, total)
    while chunk := reply.read1(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        report(done, total)
    return done


def forget(part: Path) -> None:
    """Removes what came of a download."""
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def _note_tag(tag: str | None, part: Path) -> None:
    """Only a strong tag promises equal bytes."""
    with contextlib.suppress(FileNotFoundError):
        _tag_file(part).unlink()
    if tag and not tag.startswith("W/"):
        _tag_file(part).write_text(tag, encoding="utf-8")


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _there(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
