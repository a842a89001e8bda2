"""What a person sees of a build: the plan, then a bar on a terminal."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class BuildProgress:
    """A bar over videos with the frames a second on stderr; nothing where that is no terminal.

    Args:
        title: what is built.
        videos: how many there are; done: how many of them are done already.
    """

    def __init__(self, title: str, videos: int, done: int = 0) -> None:
        console = Console(file=sys.stderr)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[frames]:,} frames"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns,
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # lines for a file must not end up above the bar
        )
        self._task = self._bar.add_task(title, total=videos, completed=done, frames=0)
        self._frames = 0

    def __enter__(self) -> "BuildProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, videos: int = 0, frames: int = 0) -> None:
        """So many more are done."""
        self._frames += frames
        self._bar.update(self._task, advance=videos, frames=self._frames)


def say(text: str) -> None:
    """One line for whoever watches, on a terminal or in a job's log."""
    print(f"reelbench: {text}", file=sys.stderr, flush=True)
