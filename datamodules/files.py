"""Files that are whole or absent, and a lease that is held only while its holder lives. Imports nothing heavy."""

import contextlib
import errno
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.errors import BenchError


def write_whole(path: str | os.PathLike[str], data: str | bytes | memoryview | Iterable[str]) -> None:
    """Replaces `path` by `data` so that a reader sees the old file or the new one, also after a crash.

    Args:
        data: the content, or its text in pieces, so that a long one need not be in memory as a whole.

    Raises:
        BenchError: the file system refused (full, read-only, no such folder); the old file is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            for piece in [data] if isinstance(data, str | bytes | memoryview) else data:
                file.write(piece.encode() if isinstance(piece, str) else piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` outlast a power cut, where the file system offers that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def free_bytes(path: Path) -> int:
    """Free space where `path` lies or would lie."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def readable_size(count: float) -> str:
    """As `3.1 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def cannot_write(path: Path, error: OSError) -> BenchError:
    """What to tell a user whose disk refused `path`."""
    with contextlib.suppress(OSError):
        return BenchError(
            f"cannot write {path}: {error.strerror or error}; {readable_size(free_bytes(path))} free there. "
            "What was there before is unchanged; free space or mend the permissions, then start again"
        )
    return BenchError(f"cannot write {path}: {error.strerror or error}")


class _Seen(NamedTuple):
    """A lease file as it was read: its holder ({} where unreadable), its last heartbeat, and what names this lease."""

    holder: dict[str, Any]
    beat: float
    key: str


class Lease:
    """A lease file with a heartbeat: held by one process at a time, on any host that shares the folder (works on NFS).

    A free lease is taken by an exclusive create. The holder's thread touches the file every `beat` seconds. The lease
    is stale, and may be taken over, once the heartbeat is older than `stale_after` by the file server's clock, or at
    once when the holder was a process of this machine that is gone. A takeover replaces the file in one step, and a
    claim file named after the stale lease lets only one process do so: at no moment is a taken lease absent.

    Args:
        path: the lease file.
        stale_after: seconds.
        beat: seconds, at most half of `stale_after`.
    """

    def __init__(self, path: str | os.PathLike[str], stale_after: float = 60.0, beat: float = 10.0) -> None:
        if not 0 < beat <= stale_after / 2:
            raise ValueError(f"beat must lie in (0, stale_after / 2], found beat={beat}, stale_after={stale_after}")
        self.path, self.stale_after, self.beat = Path(path), stale_after, beat
        self._token: str | None = None
        self._owner = 0
        self._last_beat = 0.0
        self._stop = threading.Event()

    @property
    def held(self) -> bool:
        """Whether this object holds the lease: false after `release`, in a forked child, and once it ran out."""
        in_time = time.monotonic() - self._last_beat < self.stale_after
        return self._token is not None and self._owner == os.getpid() and in_time

    def acquire(self) -> bool:
        """Takes the lease if it is free or stale; never waits. True also when it is held by this object already.

        Raises:
            BenchError: the folder cannot be written.
        """
        if self.held:
            return True
        self._stop.set()
        token, now = uuid.uuid4().hex, time.monotonic()
        body = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "token": token,
                "time": time.time(),
                "machine": _machine(),
                "started": _started(os.getpid()),
            }
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not (self._create(body) or self._take_over(body)):
                return False
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._token, self._owner, self._last_beat, self._stop = token, os.getpid(), now, threading.Event()
        threading.Thread(target=self._keep, args=(token, self._stop), name=f"lease {self.path}", daemon=True).start()
        return True

    def release(self) -> None:
        """Gives the lease back. Does nothing where it is not held; a lease that ran out may be somebody else's now."""
        if self._owner != os.getpid():
            return
        held, token, self._token = self.held, self._token, None
        self._stop.set()
        with contextlib.suppress(OSError):  # where the share is gone the lease runs out by itself
            seen = self._read() if held else None
            if seen and seen.key == token:
                self.path.unlink()

    def holder(self) -> dict[str, Any] | None:
        """Who the lease file names, alive or not: host, pid, token, time (of taking it). None without a lease file."""
        seen = self._read()
        return seen and seen.holder

    def live_holder(self) -> dict[str, Any] | None:
        """Who holds the lease now: `holder`, or None where it is free or stale."""
        seen = self._read()
        return None if seen is None or self._stale(seen) else seen.holder

    def __enter__(self) -> "Lease":
        if not self.acquire():
            raise BenchError(f"{self.path} is held by {describe(self.holder())}; wait for it or stop it")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _create(self, body: str) -> bool:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(handle, "w") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
        return True

    def _take_over(self, body: str) -> bool:
        seen = self._read()
        if seen is None:
            return self._create(body)
        if not self._stale(seen):
            return False
        claim = self.path.with_name(f"{self.path.name}.claim-{seen.key}")
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if _clock(self.path.parent) - claim.stat().st_mtime > self.stale_after:
                    claim.unlink()  # its maker died in these few lines; the next try succeeds
            return False
        try:
            # Whoever was slower to claim finds another lease here, or none.
            again = self._read()
            if again is None or again.key != seen.key or not self._stale(again):
                return False
            write_whole(self.path, body)
            return True
        finally:
            claim.unlink(missing_ok=True)

    def _read(self) -> _Seen | None:
        try:
            with self.path.open() as file:  # opening makes NFS ask the server for the true time stamp
                stat, text = os.fstat(file.fileno()), file.read()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESTALE):
                return None
            raise
        try:
            holder = json.loads(text)
            return _Seen(holder, stat.st_mtime, str(holder["token"]))
        except (ValueError, KeyError, TypeError):  # its maker is between create and write, or died there
            return _Seen({}, stat.st_mtime, f"inode-{stat.st_ino}")

    def _stale(self, seen: _Seen) -> bool:
        if seen.holder and seen.holder.get("machine") == _machine() and not _alive(seen.holder):
            return True
        return _clock(self.path.parent) - seen.beat > self.stale_after

    def _keep(self, token: str, stop: threading.Event) -> None:
        while not stop.wait(self.beat):
            now = time.monotonic()
            with contextlib.suppress(OSError):  # the share may be back at the next beat; until then the lease runs down
                seen = self._read()
                if seen is None or seen.key != token:
                    self._token = None if self._token == token else self._token
                    return
                os.utime(self.path)
                self._last_beat = now


def describe(holder: dict[str, Any] | None) -> str:
    """A lease's holder for a message."""
    if not holder:
        return "an unknown process"
    return f"process {holder.get('pid')} on {holder.get('host')} since {time.ctime(holder.get('time', 0))}"


def _clock(folder: Path) -> float:
    """The file server's time: clocks of hosts differ, and heartbeats are stamped by the server."""
    probe = folder / f".clock-{uuid.uuid4().hex[:8]}"
    handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        probe.unlink(missing_ok=True)


def _machine() -> str:
    """Names the space in which a pid means a process: host, boot and, in containers, the pid namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; "ended" if it is a zombie; None where /proc does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]


def _alive(holder: dict[str, Any]) -> bool:
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process
    started, then = _started(holder["pid"]), holder.get("started")
    return None in (started, then) or started == then  # a reused pid started at another time
