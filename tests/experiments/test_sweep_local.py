"""Runs on this machine: some at a time, each on its own, stopped and taken up again."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datamodules.files import Lease
from experiments.sweep.job import Outcome
from experiments.sweep.local import cores, environment, exit_code
from experiments.sweep.plan import PlannedRun
from experiments.sweep.show import Display
from experiments.sweep.state import state_of
from tests.experiments.sweep_runs import go, planned, use_stub


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stub(monkeypatch)


@contextmanager
def signals(run: PlannedRun, *numbers: signal.Signals, pid: int | None = None) -> Iterator[None]:
    """Sends signals to this process, or to the run's, once the run is under way."""

    def send() -> None:
        deadline = time.monotonic() + 30
        while not (run.folder / "status.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for number in numbers:
            os.kill(pid or os.getpid(), number)
            time.sleep(0.3)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


def fits(root: Path) -> list[str]:
    return [line.split()[0] for line in (root / "fits").read_text().splitlines()]


def test_trains_and_scores_each_and_does_nothing_the_second_time(tmp_path: Path) -> None:
    runs = [planned(tmp_path, name, protocols=("p", "q")[:n]) for n, name in enumerate("abc")]
    outcomes, shown = go(runs)
    assert outcomes == dict.fromkeys("abc", Outcome("done"))
    assert shown.startswith("3 runs: 0 done, 3 to do\n") and shown.endswith("\n3 done\n")
    assert "a: started (case=a)" in shown and "(3/3)" in shown
    again, shown = go(runs)
    assert again == outcomes and shown == "3 runs: 3 done, 0 to do\n3 done\n"
    assert sorted(fits(tmp_path)) == ["a", "b", "c"]


def test_no_more_at_a_time_than_asked_for(tmp_path: Path) -> None:
    go([planned(tmp_path, name, "short") for name in "abcde"], at_once=2)
    moments = [(float(line.split()[1]), +1) for line in (tmp_path / "fits").read_text().splitlines()]
    moments += [(float(line.split()[1]), -1) for line in (tmp_path / "ends").read_text().splitlines()]
    running, most = 0, 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    assert running == 0 and most == 2


def test_a_failure_is_its_own_and_waits_for_retry(tmp_path: Path) -> None:
    runs = [planned(tmp_path, "bad", "fail"), planned(tmp_path, "good"), planned(tmp_path, "ugly", "unscorable")]
    outcomes, shown = go(runs, at_once=1)
    assert outcomes["good"] == Outcome("done")
    line = "data.init_args.size must be even, found 3"
    assert outcomes["bad"] == Outcome("failed", f"fit ended with 2: {line}")
    assert outcomes["ugly"] == Outcome("failed", "test ended with 1: RuntimeError: no clips")
    assert f"failed  bad (case=bad): fit ended with 2: {line}\n          {tmp_path / 'bad' / 'log.txt'}" in shown
    assert exit_code(outcomes) == 1
    assert [state_of(run).kind for run in runs] == ["failed", "done", "failed"]
    assert [state_of(run).trained for run in runs] == [False, True, True]

    again, shown = go(runs)
    assert fits(tmp_path) == ["bad", "good", "ugly"], "nothing was tried again"
    assert again["bad"].kind == "failed" and "--retry runs it again" in again["bad"].detail
    assert "2 left alone" in shown and exit_code(again) == 1

    (tmp_path / "mended").touch()
    third, _ = go(runs, retry=True)
    assert fits(tmp_path) == ["bad", "good", "ugly", "bad"], "what was trained is not trained again"
    assert third["bad"] == Outcome("done") and third["ugly"].kind == "failed"
    assert state_of(runs[0]).kind == "done"


def test_retry_scores_anew_where_a_number_is_missing(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", "blank", protocols=("p", "q"))
    assert go([run])[0]["a"] == Outcome("done")

    def scored() -> int:
        return (run.folder / "log.txt").read_text().count("reelbench test")

    assert scored() == 2 and go([run])[0]["a"] == Outcome("done") and scored() == 2
    (tmp_path / "mended").touch()
    assert go([run], retry=True)[0]["a"] == Outcome("done") and scored() == 4
    assert go([run], retry=True)[0]["a"] == Outcome("done") and scored() == 4
    assert fits(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_stops_all_and_the_next_sweep_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    runs = [planned(tmp_path, name, "wait") for name in "abc"]
    if signal.getsignal(number) is signal.SIG_IGN:  # as under nohup, where a hangup is to be ignored
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    with signals(runs[0], number):
        outcomes, shown = go(runs, at_once=1)
    assert signal.getsignal(number) is before
    assert outcomes == {
        "a": Outcome("unfinished", "stopped, to be resumed"),
        "b": Outcome("unfinished", "not begun"),
        "c": Outcome("unfinished", "not begun"),
    }
    assert exit_code(outcomes) == 75 and "1 run asked to stop" in shown
    assert state_of(runs[0]).kind == "unfinished" and state_of(runs[1]).kind == "missing"
    (tmp_path / "go").touch()
    outcomes, _ = go(runs, at_once=3)
    assert outcomes == dict.fromkeys("abc", Outcome("done")) and exit_code(outcomes) == 0


def test_asked_twice_it_ends_what_does_not_stop(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", "stubborn")
    begun = time.monotonic()
    with signals(run, signal.SIGTERM, signal.SIGTERM):
        outcomes, shown = go([run])
    assert outcomes["a"].kind == "unfinished" and "stopping at once" in shown
    assert time.monotonic() - begun < 30, "it waited for the run"


def test_a_killed_run_is_said_and_taken_up_by_the_next_sweep(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", "wait")

    def kill() -> None:
        deadline = time.monotonic() + 30
        while not (run.folder / "status.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        (child,) = [c for c in children if b"sweep_stub" in Path(f"/proc/{c}/cmdline").read_bytes()]
        os.kill(int(child), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    outcomes, _ = go([run])
    thread.join()
    assert outcomes["a"] == Outcome("failed", "fit was killed by SIGKILL; the next sweep resumes it")
    assert state_of(run).kind == "unfinished", "nothing is wrong with the run itself"
    (tmp_path / "go").touch()
    assert go([run])[0]["a"] == Outcome("done")


def test_what_cannot_be_started_takes_no_other_along(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where the run's folder should be")
    outcomes, _ = go([planned(tmp_path, "a"), planned(tmp_path, "b")])
    assert outcomes["a"].kind == "failed" and str(tmp_path / "a") in outcomes["a"].detail
    assert outcomes["b"] == Outcome("done")


def test_an_error_of_the_sweep_itself_leaves_no_run_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned(tmp_path, "a", "wait")

    def broken(self: Display, active: object) -> None:
        if (run.folder / "status.json").exists():
            raise RuntimeError("no terminal")

    monkeypatch.setattr(Display, "update", broken)
    with pytest.raises(RuntimeError, match="no terminal"):
        go([run])
    deadline = time.monotonic() + 30
    while state_of(run).detail != "preempted" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state_of(run).detail == "preempted"


def test_what_runs_elsewhere_is_left_alone(tmp_path: Path) -> None:
    runs = [planned(tmp_path, "a"), planned(tmp_path, "b")]
    with Lease(runs[0].folder / "lease.json"):
        assert state_of(runs[0]).kind == "running"
        outcomes, _ = go(runs)
    assert outcomes["a"].kind == "unfinished" and f"running elsewhere: process {os.getpid()}" in outcomes["a"].detail
    assert outcomes["b"] == Outcome("done") and fits(tmp_path) == ["b"] and exit_code(outcomes) == 75


def test_a_run_that_ended_before_its_budget_is_not_scored(tmp_path: Path) -> None:
    outcomes, _ = go([planned(tmp_path, "a", "limit")])
    assert outcomes["a"].kind == "unfinished" and "not trained to the end" in outcomes["a"].detail
    assert not (tmp_path / "a" / "results.json").exists()


def test_cores_are_divided_and_runs_are_nice(tmp_path: Path) -> None:
    assert environment(1, None)["OMP_NUM_THREADS"] == str(cores())
    assert environment(cores() + 1, None)["OMP_NUM_THREADS"] == "1"
    run = planned(tmp_path, "a")
    go([run], threads=3, niceness=min(19, os.nice(0) + 2) - os.nice(0))
    log = (run.folder / "log.txt").read_text()
    assert f"threads 3 niceness {min(19, os.nice(0) + 2)} group True" in log
    assert f"reelbench fit {run.folder}" in log and f"reelbench test {run.folder}" in log


def test_a_terminal_shows_a_table(tmp_path: Path) -> None:
    run = planned(tmp_path, "a", "wait")
    thread = threading.Timer(2.5, (tmp_path / "go").touch)
    thread.start()
    _, shown = go([run], terminal=True)
    thread.join()
    assert "training" in shown and "5/10" in shown and "case=a" in shown
