"""A run that is asked to stop, as a flag: signal and os only, so that it is in place before the heavy imports."""

import os
import signal
from types import FrameType

from datamodules.errors import BenchError

EXIT_PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, start the same command again
VARIABLE = "REELBENCH_PREEMPT_SIGNAL"

_requested = False
_held: tuple[signal.Signals, ...] = ()


def _chosen() -> signal.Signals:
    name = os.environ.get(VARIABLE, "SIGUSR1")
    if name not in ("SIGUSR1", "SIGUSR2"):
        raise BenchError(f"{VARIABLE} must be SIGUSR1 or SIGUSR2, found {name!r}")
    return signal.Signals[name]


def _handle(number: int, frame: FrameType | None) -> None:
    request()
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever asks twice is not made to wait for the step's end


def _in_child() -> None:
    """A forked loader worker must not swallow SIGTERM, nor die of a signal that SLURM sends to every process."""
    for number in _held:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


os.register_at_fork(after_in_child=_in_child)


def install() -> None:
    """From now on the preemption signal and the first SIGTERM only set the flag; a second SIGTERM kills.

    The preemption signal is SIGUSR1, or what REELBENCH_PREEMPT_SIGNAL names. SIGTERM counts too: SLURM sends it,
    and SIGKILL after it, where no signal was asked for. Main thread only.

    Raises:
        BenchError: REELBENCH_PREEMPT_SIGNAL names another signal.
    """
    global _held
    _held = (_chosen(), signal.SIGTERM)
    for number in _held:
        signal.signal(number, _handle)


def reclaim() -> None:
    """Takes SIGTERM back from Lightning; nothing where `install` was not called.

    When a fit starts, Lightning wraps the handler in its own, which broadcasts between ranks inside the handler and
    ends the run in the middle of a step. To be called once training has started.
    """
    for number in _held:
        if not (number == signal.SIGTERM and _requested):  # a second SIGTERM keeps its default action
            signal.signal(number, _handle)


def requested() -> bool:
    """Whether this process was asked to stop."""
    return _requested


def request() -> None:
    """Asks this process to stop at the next step's end, as the signals do."""
    global _requested
    _requested = True


def clear() -> None:
    """Forgets the request: for a process that starts another run."""
    global _requested
    _requested = False


def ignore() -> None:
    """SIGUSR1 and SIGUSR2 do nothing any more; SIGTERM kills as ever.

    For the end of a run and for commands that have nothing to save. At exit Python puts the default action of a
    handled signal back, and theirs kills; an ignored signal it leaves alone.
    """
    global _held
    _held = ()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
