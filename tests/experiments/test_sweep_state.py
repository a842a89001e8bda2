"""Where a run stands, from what its folder holds, and how a sweep says it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datamodules.files import Lease
from experiments.results import write_results
from experiments.sweep.command import dry_run, status_table
from experiments.sweep.plan import PlannedRun
from experiments.sweep.show import Speed, progress_line
from experiments.sweep.state import State, last_line, mark_failed, state_of, untested
from metrics.base import MetricResult, VideoMetric
from metrics.content import AverageContentDistance
from metrics.pixel import PSNR
from metrics.protocol import Protocol
from tests.experiments.sweep_runs import planned


def write(run: PlannedRun, name: str, content: Any) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def status(run: PlannedRun, state: str, **more: Any) -> None:
    write(run, "status.json", {"state": state, "step": 4, "max_steps": 10, **more})


def test_missing(tmp_path: Path) -> None:
    assert state_of(planned(tmp_path, "a")) == State("missing", None, 10)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "running"}, State("unfinished", 4, 10, "ended without a word")),
        ({"state": "preempted", "reason": "a signal"}, State("unfinished", 4, 10, "a signal")),
        ({"state": "stopped", "reason": None}, State("unfinished", 4, 10, "stopped")),
        ({"state": "failed", "reason": "NaN at step 4"}, State("failed", 4, 10, "fit: NaN at step 4")),
        ({"state": "finished"}, State("unfinished", 4, 10, "trained; to be scored: p", trained=True)),
    ],
)
def test_what_the_status_says(said: dict[str, Any], state: State, tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    status(run, **said)
    assert state_of(run) == state


def test_done_is_trained_and_scored_at_the_last_step_under_all_protocols(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", protocols=("p", "q"))
    status(run, "finished")
    entry = {"step": 4, "asked": ["p"]}
    write(run, "results.json", {"results": {"1": entry, "2": {"step": 3, "asked": ["q"]}, "3": {"step": 4}}})
    assert [test.protocol for test in untested(run)] == ["q"], "scored at another step, or nobody knows what"
    assert state_of(run).kind == "unfinished"
    write(run, "results.json", {"results": {"1": entry, "2": {"step": 4, "asked": ["q"]}}})
    assert state_of(run) == State("done", 4, 10, trained=True)
    assert state_of(planned(tmp_path, "a", protocols=())).kind == "done"


def test_a_failure_is_remembered_until_the_run_went_well(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", protocols=())
    run.folder.mkdir()
    mark_failed(run, "fit", 2, "no data")
    assert state_of(run) == State("failed", None, 10, "fit: no data")
    status(run, "finished")
    assert state_of(run).kind == "done", "somebody trained it by hand"
    mark_failed(run, "test", 1, "no weights")
    assert state_of(run) == State("failed", 4, 10, "test: no weights", trained=True)


def test_a_damaged_record_is_a_failure_that_says_so(tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    write(run, "status.json", "{")
    assert state_of(run).kind == "failed" and "status.json is damaged" in state_of(run).detail


def test_running_while_the_lease_is_held(tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    status(run, "running", heartbeat="2026-01-02T03:04:05+00:00")
    with Lease(run.folder / "lease.json"):
        assert state_of(run).kind == "running"
        assert state_of(run).detail.startswith(f"process {os.getpid()} on ")
        assert state_of(run).detail.endswith(", last heartbeat 2026-01-02T03:04:05+00:00")
    assert state_of(run).kind == "unfinished"


def test_last_line_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert last_line(log) == "no log"
    log.write_text("== 2026 reelbench fit\n")
    assert last_line(log) == "the log is empty"
    log.write_text("x" * 9000 + "\none\nreelbench: the last\n\n \n== 2026 reelbench fit\n")
    assert last_line(log) == "the last"


def test_status_and_dry_run(tmp_path: Path) -> None:
    runs = [planned(tmp_path, name) for name in ("first", "b", "c")]
    status(runs[0], "finished")
    status(runs[1], "finished")
    write(runs[1], "results.json", {"results": {"1": {"step": 4, "asked": ["p"]}}})
    assert status_table(runs).splitlines() == [
        "unfinished  4/10  first  case=first  trained; to be scored: p",
        "done        4/10  b      case=b",
        "missing           c      case=c",
        "3 runs: 1 done, 1 unfinished, 1 missing",
    ]
    assert dry_run(runs).splitlines() == [
        f"# {tmp_path}/first (case=first): unfinished at step 4 of 10: trained; to be scored: p",
        f"reelbench test {tmp_path}/first ok --config p",
        f"# {tmp_path}/b (case=b): done at step 4 of 10",
        f"# {tmp_path}/c (case=c): missing",
        f"reelbench fit {tmp_path}/c ok",
        f"reelbench test {tmp_path}/c ok --config p",
        "# 3 runs: 1 done, 2 to do",
    ]


def test_speed_and_time_left() -> None:
    speed = Speed()
    assert progress_line(None, speed) == ["", "", ""]
    speed.see(100, 50.0)
    assert progress_line((100, 1000, 50.0), speed) == ["100/1000", "", ""]
    speed.see(150, 60.0)  # 50 steps in 10 s, 850 left
    assert progress_line((150, 1000, 60.0), speed) == ["150/1000", "5 steps/s", "3 min left"]
    speed.see(120, 70.0)  # resumed from a checkpoint
    assert speed.value == 5
    speed.see(140, 80.0)
    assert speed.value == 2


def test_what_was_asked_is_remembered_until_a_column_is_measured_otherwise(tmp_path: Path) -> None:
    protocol = Protocol(label="p", split="test", frames=4, stride=1, data="toy", n_real=4, n_fake=4)

    def measure(asked: str, step: int = 4, **metrics: VideoMetric) -> list[str]:
        results = {name: MetricResult(1.0, None, 4, 4, metric.fingerprint) for name, metric in metrics.items()}
        measured = {"step": step, "weights": "raw", "asked": [asked]}
        write_results(tmp_path, {}, protocol, results, metrics, measured)
        (entry,) = json.loads((tmp_path / "results.json").read_text())["results"].values()
        return list(entry["asked"])

    assert measure("a", acd_color=AverageContentDistance()) == ["a"]
    assert measure("b", acd_color=AverageContentDistance(), psnr=PSNR()) == ["a", "b"], "the same number and one more"
    assert measure("c", acd_color=AverageContentDistance(threshold=9)) == ["c"], "what a and b asked for is gone"
    assert measure("d", step=5, acd_color=AverageContentDistance(threshold=9)) == ["d"], "other weights"
