"""Other Python processes, for what only real processes show."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def running(script: str, *args: object, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """`count` interpreters that run `script`; none outlives the block."""
    command = [sys.executable, "-c", script, *map(str, args)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for `condition`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
