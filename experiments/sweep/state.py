"""What became of a run, read from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datamodules.errors import BenchError
from datamodules.files import Lease
from datamodules.jsonfile import now, read_json, write_json
from experiments.recorded import as_dict, as_int, as_text
from experiments.sweep.plan import PlannedRun, PlannedTest

Kind = Literal["done", "running", "unfinished", "failed", "missing"]
KINDS: tuple[Kind, ...] = ("done", "running", "unfinished", "failed", "missing")
LOG, MARK = "log.txt", "sweep.json"
TAIL = 8192  # bytes of a log that are looked at for its last line


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        kind: `done`: trained, and scored under every protocol; `running`: its lease has a fresh heartbeat, in this
            sweep or elsewhere; `failed`: its last command ended with an error; `unfinished`: all else that has begun.
        detail: of the kind, in words.
        trained: to the last step.
    """

    kind: Kind
    step: int | None = None
    max_steps: int | None = None
    detail: str = ""
    trained: bool = False


def state_of(run: PlannedRun) -> State:
    """Reads the folder; never raises for what it holds."""
    if not run.folder.is_dir():
        return State("missing", None, run.max_steps)
    try:
        return _state(run)
    except (BenchError, OSError) as error:
        return State("failed", None, run.max_steps, str(error))


def _state(run: PlannedRun) -> State:
    status = read_json(run.folder / "status.json")
    step, budget = as_int(status.get("step")), as_int(status.get("max_steps")) or run.max_steps
    holder = Lease(run.folder / "lease.json").live_holder()
    if holder is not None:
        beat = f", last heartbeat {status['heartbeat']}" if status.get("heartbeat") else ""
        return State("running", step, budget, f"process {holder.get('pid')} on {holder.get('host')}{beat}")
    trained, failure = status.get("state") == "finished", failure_of(run)
    if failure and not (trained and failure.get("command") == "fit"):  # a fit that went well since, by hand
        return State("failed", step, budget, f"{failure.get('command')}: {failure.get('line')}", trained)
    if trained:
        left = untested(run)
        if not left:
            return State("done", step, budget, trained=True)
        wanted = ", ".join(test.protocol for test in left)
        return State("unfinished", step, budget, f"trained; to be scored: {wanted}", trained=True)
    if status.get("state") == "failed":
        return State("failed", step, budget, f"fit: {as_text(status.get('reason')) or last_line(run.folder / LOG)}")
    said = {"running": "ended without a word", None: "not begun to train"}
    detail = said.get(status.get("state")) or as_text(status.get("reason")) or as_text(status.get("state"))
    return State("unfinished", step, budget, detail)


def untested(run: PlannedRun, anew: bool = False) -> list[PlannedTest]:
    """The evaluations whose numbers are not there, or belong to other weights than the last step's.

    Args:
        anew: also those with a column that could not be measured, for want of a metric's weights for instance.
    """
    step = read_json(run.folder / "status.json").get("step")
    entries = map(as_dict, as_dict(read_json(run.folder / "results.json").get("results")).values())
    kept = [e for e in entries if e.get("step") == step and not (anew and _blank(e))]
    done = {digest for entry in kept for digest in entry.get("asked") or ()}
    return [test for test in run.tests if test.asked not in done]


def _blank(entry: Mapping[str, Any]) -> bool:
    return any(as_dict(number).get("value") is None for number in as_dict(entry.get("values")).values())


def failure_of(run: PlannedRun) -> Mapping[str, Any]:
    """What the sweep that saw it fail wrote down: command, code, line, time. Empty where none did."""
    return as_dict(read_json(run.folder / MARK).get("failed"))


def mark_failed(run: PlannedRun, command: str, code: int, line: str) -> None:
    """For the next sweep: not every failure leaves a status."""
    write_json(run.folder / MARK, {"failed": {"command": command, "code": code, "line": line, "time": now()}})


def clear_failure(run: PlannedRun) -> None:
    """It is tried again."""
    (run.folder / MARK).unlink(missing_ok=True)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return "no log"
    said = [line.strip() for line in lines if line.strip() and not line.startswith("== ")]
    return said[-1].removeprefix("reelbench: ") if said else "the log is empty"
