"""What a sweep shows while it runs: a live table in a terminal, else one line now and then."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.sweep.job import Job, Outcome
from experiments.sweep.plan import PlannedRun
from experiments.sweep.state import LOG
from experiments.wording import duration, plural

REFRESH, LINE = 1.0, 60.0  # seconds between looks at the records, and between a run's lines without a terminal


class Speed:
    """Steps per second between the last two heartbeats that differ."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self.value: float | None = None

    def see(self, step: int, seconds: float) -> None:
        """A heartbeat. A step that fell back belongs to a run that was resumed."""
        if self._last is not None and step > self._last[0] and seconds > self._last[1]:
            self.value = (step - self._last[0]) / (seconds - self._last[1])
        if self._last is None or step != self._last[0]:
            self._last = (step, seconds)


def progress_line(progress: tuple[int, int, float] | None, speed: Speed) -> list[str]:
    """Step of budget, steps a second, time left; empty where it is not known yet."""
    if progress is None:
        return ["", "", ""]
    step, budget, _ = progress
    if not speed.value:
        return [f"{step}/{budget}", "", ""]
    return [f"{step}/{budget}", f"{speed.value:.3g} steps/s", f"{duration((budget - step) / speed.value)} left"]


class Display:
    """Shows a sweep on a console.

    Args:
        console: stderr's by default; a table is drawn where it is a terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._speeds: dict[str, Speed] = {}
        self._said: dict[str, float] = {}
        self._looked = 0.0
        self._total = self._over = 0

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def begin(self, runs: Sequence[PlannedRun], outcomes: Mapping[str, Outcome]) -> None:
        """How much there is to do."""
        self._total, self._over = len(runs), len(outcomes)
        done = sum(outcome.kind == "done" for outcome in outcomes.values())
        left = [f"{done} done", f"{len(runs) - len(outcomes)} to do"]
        left += [f"{len(outcomes) - done} left alone"] if len(outcomes) > done else []
        self._print(f"{plural(len(runs), 'run')}: {', '.join(left)}")

    def started(self, job: Job) -> None:
        """A run begins."""
        self._speeds[job.run.identity] = Speed()
        self._said[job.run.identity] = time.monotonic()
        self._print(f"{job.run.folder.name}: started ({job.run.label})")

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run has its outcome."""
        self._over += 1
        text = f"{outcome.kind}{f': {outcome.detail}' if outcome.detail else ''}"
        self._print(f"{job.run.folder.name}: {text} ({self._over}/{self._total})")

    def stopping(self, active: int, again: bool) -> None:
        """A signal came."""
        text = "stopping at once" if again else "asked to stop: waiting until they are saved; once more stops at once"
        self._print(f"{plural(active, 'run')} {text}")

    def update(self, active: Sequence[Job]) -> None:
        """Looks at the heartbeats every second."""
        if time.monotonic() - self._looked < REFRESH:
            return
        self._looked = time.monotonic()
        table = Table(box=None, pad_edge=False, show_header=False)
        for job in active:
            seen, speed = job.progress() if job.activity == "training" else None, self._speeds[job.run.identity]
            if seen is not None:
                speed.see(seen[0], seen[2])
            cells = [job.run.folder.name, job.run.label, job.activity, *progress_line(seen, speed)]
            table.add_row(*map(Text, cells))
            if not self.console.is_terminal and self._looked - self._said[job.run.identity] >= LINE:
                self._said[job.run.identity] = self._looked
                self._print("  ".join(cell for cell in cells if cell))
        if self.console.is_terminal:
            self._live.update(table, refresh=True)

    def finish(self, runs: Sequence[PlannedRun], outcomes: Mapping[str, Outcome]) -> None:
        """The sum, and each failure with its last line and its log."""
        counts = Counter(outcome.kind for outcome in outcomes.values())
        told = [f"{counts[kind]} {kind}" for kind in ("done", "failed", "unfinished") if counts[kind] or kind == "done"]
        self._print(", ".join(told))
        for run in runs:
            outcome = outcomes[run.identity]
            if outcome.kind != "done":
                self._print(f"  {outcome.kind}  {run.folder.name} ({run.label}): {outcome.detail}")
            if outcome.kind == "failed":
                self._print(f"          {run.folder / LOG}")

    def _print(self, text: str) -> None:
        self.console.print(Text(text))
