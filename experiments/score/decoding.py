"""Videos decoded by several threads ahead of their use, with a bound on what lies in memory.

PyAV gives the interpreter's lock back while FFmpeg decodes and scales, so threads do what processes would, and clips
need not be copied between them.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from experiments.score.clips import ClipReading, Facts

AHEAD = 2  # parts of one video that wait for their use
PATIENCE = 0.2  # seconds between looks at whether the reader of a part has gone


class Stream:
    """Clips of one video as they come; `facts` is complete when they have ended. To be iterated once."""

    def __init__(self, reading: ClipReading, stop: threading.Event) -> None:
        self._reading, self._stop = reading, stop
        self._parts: queue.Queue[Tensor | BaseException | None] = queue.Queue(AHEAD)

    @property
    def facts(self) -> Facts:
        """Of the whole video."""
        return self._reading.facts

    def __iter__(self) -> Iterator[Tensor]:
        """uint8 B C T H W, a few clips at a time."""
        while (part := self._parts.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part

    def work(self) -> None:
        """Decodes; for a thread of the pool."""
        try:
            for clips in self._reading:
                if not self._put(clips):
                    return
            self._put(None)
        except BaseException as error:  # whoever waits for the next part must hear of it
            self._put(error)

    def _put(self, part: Tensor | BaseException | None) -> bool:
        """False once nobody wants it any more."""
        while not self._stop.is_set():
            try:
                self._parts.put(part, timeout=PATIENCE)
                return True
            except queue.Full:
                continue
        return False


class Decoder:
    """A pool of threads that decodes what will be asked for next.

    Args:
        open_clips: makes a `ClipReading` of a path.
        threads: at least 2 are taken: two videos of a pair are read side by side. None takes one a core.
    """

    def __init__(self, open_clips: Callable[[Path], ClipReading], threads: int | None = None) -> None:
        self._open = open_clips
        self.threads = max(2, threads or cores())
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")

    def streams(self, groups: Iterable[Sequence[Path]]) -> Iterator[list[Stream]]:
        """The streams of each group, in order. A group must be read to its end before the next is asked for.

        Work begins in the order of the groups, and little more is begun than what keeps all threads busy; a thread
        waits with two parts of its video until they are used.
        """
        waiting: deque[list[Stream]] = deque()
        begun = 0
        source = iter(groups)
        while True:
            while begun < self.threads + 2 and (group := next(source, None)) is not None:
                waiting.append([self._begin(path) for path in group])
                begun += len(group)
            if not waiting:
                return
            streams = waiting.popleft()
            yield streams
            begun -= len(streams)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, path: Path) -> Stream:
        stream = Stream(self._open(path), self._stop)
        self._pool.submit(stream.work)
        return stream


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
