"""One run of a sweep as processes: its commands one after another, each in a process group of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from datamodules.errors import BenchError
from datamodules.jsonfile import now, read_json
from experiments.recorded import as_int
from experiments.sweep.plan import PlannedRun, shown
from experiments.sweep.state import LOG, clear_failure, last_line, mark_failed, state_of, untested
from lightning_modules.preempt import EXIT_PREEMPTED

PROGRAM = (sys.executable, "-m", "experiments")


@dataclass(frozen=True)
class Outcome:
    """How a run ended in this sweep: `done`, `failed`, or `unfinished`, which the next sweep takes up."""

    kind: Literal["done", "failed", "unfinished"]
    detail: str = ""


class Job:
    """A run under way; `poll` it until it has an outcome.

    Args:
        run: trained where it is not, then scored under the protocols that are missing.
        environment: of its processes.
        niceness: of its processes, 0 to 19.
        anew: scores again where a column has no number.
    """

    def __init__(self, run: PlannedRun, environment: Mapping[str, str], niceness: int = 0, anew: bool = False) -> None:
        self.run, self.environment, self.niceness, self.anew = run, dict(environment), niceness, anew
        self.activity = "starting"
        self._commands = self._next_commands()
        self._process: subprocess.Popen[bytes] | None = None
        self._command = ""
        self._asked = 0

    def _next_commands(self) -> Iterator[list[str]]:
        if read_json(self.run.folder / "status.json").get("state") != "finished":
            self.activity = "training"
            yield self.run.fit()
        for test in untested(self.run, self.anew):
            self.activity = f"scoring {test.protocol.removeprefix('protocol/')}"
            yield self.run.test(test)

    def poll(self) -> Outcome | None:
        """Starts the next command when one has ended well; None while there is something to wait for."""
        code = 0 if self._process is None else self._process.poll()
        if code is None:
            return None
        process, self._process = self._process, None
        try:
            return self._start() if code == 0 or process is None else self._broken(process.pid, code)
        except (BenchError, OSError) as error:  # a damaged record, a full disk: no reason to stop other runs
            return Outcome("failed", str(error))

    def _start(self) -> Outcome | None:
        words = next(self._commands, None)
        if words is None:
            state = state_of(self.run)
            return Outcome("done") if state.kind == "done" else Outcome("unfinished", state.detail)
        if self._asked:
            return Outcome("unfinished", "asked to stop")
        if words[0] == "test" and read_json(self.run.folder / "status.json").get("state") != "finished":
            detail = state_of(self.run).detail
            return Outcome("unfinished", f"not trained to the end: {detail}")
        self._command = words[0]
        self.run.folder.mkdir(parents=True, exist_ok=True)
        clear_failure(self.run)
        nice = ["nice", "-n", str(self.niceness)] if self.niceness else []
        with (self.run.folder / LOG).open("ab") as log:
            log.write(f"== {now()} {shown(words)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                [*nice, *PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                process_group=0,  # Ctrl-C at the terminal reaches the sweep alone, which asks its runs to stop
            )
        return None

    def _broken(self, group: int, code: int) -> Outcome:
        with contextlib.suppress(ProcessLookupError):  # ranks that outlived the first one
            os.killpg(group, signal.SIGTERM)
        if state_of(self.run).kind == "running":
            return Outcome("unfinished", "held by another process")
        if code == EXIT_PREEMPTED or self._asked:
            return Outcome("unfinished", "stopped, to be resumed")
        if code < 0:
            name = signal.Signals(-code).name
            return Outcome("failed", f"{self._command} was killed by {name}; the next sweep resumes it")
        line = last_line(self.run.folder / LOG)
        mark_failed(self.run, self._command, code, line)
        return Outcome("failed", f"{self._command} ended with {code}: {line}")

    def stop(self) -> None:
        """Asks the command to stop, which saves the run; asked again, it ends at once with all that it started."""
        if self._process is None:
            self._asked += 1
            return
        with contextlib.suppress(ProcessLookupError):
            if self._asked:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.terminate()  # not the whole group: loader workers must live until the step's end
        self._asked += 1

    def progress(self) -> tuple[int, int, float] | None:
        """Step, budget and seconds of training, of the last heartbeat."""
        try:
            status = read_json(self.run.folder / "status.json")
        except (BenchError, OSError):
            return None
        step, budget, seconds = as_int(status.get("step")), as_int(status.get("max_steps")), status.get("seconds")
        if step is None or budget is None or not isinstance(seconds, int | float):
            return None
        return step, budget, float(seconds)
