"""A list of runs on this machine, some at a time. One run's failure is its own."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType

from experiments.sweep.job import Job, Outcome
from experiments.sweep.plan import PlannedRun
from experiments.sweep.show import Display
from experiments.sweep.state import state_of, untested

WAIT = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Stop:
    """Counts the requests to stop while it is entered; SIGUSR1 is SLURM's warning that a job will end.

    SIGHUP that was ignored before, as under nohup, stays so.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[signal.Signals, object] = {}

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1

    def __enter__(self) -> "Stop":
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(at_once: int, threads: int | None) -> dict[str, str]:
    """Of a run's processes: the cores are divided, since torch would take all of them in each."""
    count = str(threads or max(1, cores() // at_once))
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)


def run_local(
    runs: Sequence[PlannedRun],
    at_once: int,
    display: Display,
    *,
    threads: int | None = None,
    niceness: int = 0,
    retry: bool = False,
) -> Mapping[str, Outcome]:
    """Runs what is not done.

    Args:
        at_once: how many runs at a time.
        threads: of each run; by default its share of the cores.
        retry: runs the failed again, and scores anew where a column has no number.

    Returns:
        The outcome of each run by its identity.
    """
    outcomes: dict[str, Outcome] = {}
    waiting = []
    for run in runs:
        state = state_of(run)
        if state.kind == "done" and not (retry and untested(run, anew=True)):
            outcomes[run.identity] = Outcome("done")
        elif state.kind == "running":
            outcomes[run.identity] = Outcome("unfinished", f"running elsewhere: {state.detail}")
        elif state.kind == "failed" and not retry:
            outcomes[run.identity] = Outcome("failed", f"failed before ({state.detail}); --retry runs it again")
        else:
            waiting.append(run)
    display.begin(runs, outcomes)
    shared, active, sent = environment(at_once, threads), list[Job](), 0
    with Stop() as stop, display:
        try:
            while active or (waiting and not stop.asked):
                while waiting and len(active) < at_once and not stop.asked:
                    active.append(Job(waiting.pop(0), shared, niceness, anew=retry))
                    display.started(active[-1])
                for job in list(active):
                    outcome = job.poll()
                    if outcome is not None:
                        active.remove(job)
                        outcomes[job.run.identity] = outcome
                        display.ended(job, outcome)
                while sent < stop.asked:
                    sent += 1
                    display.stopping(len(active), again=sent > 1)
                    for job in active:
                        job.stop()
                display.update(active)
                time.sleep(WAIT)
        finally:
            for job in active:  # none is left, but after an error of the sweep's own
                job.stop()
    for run in waiting:
        outcomes[run.identity] = Outcome("unfinished", "not begun")
    display.finish(runs, outcomes)
    return outcomes


def exit_code(outcomes: Mapping[str, Outcome]) -> int:
    """0 where all is done, 1 where a run failed, 75 where the same command would go on."""
    kinds = {outcome.kind for outcome in outcomes.values()}
    return 1 if "failed" in kinds else 75 if "unfinished" in kinds else 0
