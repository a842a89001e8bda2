import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.files import Lease
from tests.datamodules.listing import names_in
from tests.datamodules.processes import running, until

LEASES = 40

# Takes what it can of many leases, says which, and holds them until its input is closed.
RACER = """
import sys, time
from pathlib import Path
from datamodules.files import Lease
folder, go = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
leases = [Lease(folder / str(i)) for i in range(int(sys.argv[3]))]
print(*[lease.path.name for lease in leases if lease.acquire()], flush=True)
sys.stdin.read()
"""

# Holds one lease that runs out fast; answers each line of input with whether it is held, then releases it.
HOLDER = """
import sys
from datamodules.files import Lease
lease = Lease(sys.argv[1], stale_after=0.4, beat=0.1)
print(lease.acquire(), flush=True)
for line in sys.stdin:
    print(lease.held, flush=True)
    lease.release()
"""

FORKER = """
import os, sys
from datamodules.files import Lease
lease = Lease(sys.argv[1])
lease.acquire()
child = os.fork()
if not child:
    print(lease.held, flush=True)
    lease.release()
    os._exit(0)
os.waitpid(child, 0)
print(lease.held, os.path.exists(sys.argv[1]), flush=True)
"""


def race(folder: Path, go: Path) -> Counter[str]:
    """How many of four processes won each lease."""
    with running(RACER, folder, go, LEASES, count=4) as racers:
        for racer in racers:
            assert racer.stdout and racer.stdout.readline() == "ready\n"
        go.touch()
        return Counter(name for racer in racers if racer.stdout for name in racer.stdout.readline().split())


def rewrite(path: Path, age: float = 0.0, **changes: object) -> None:
    """Makes the lease file that of another holder, with a heartbeat `age` seconds ago."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A lease of a process on another machine."""
    path = tmp_path / "lease"
    lease = Lease(path)
    lease.acquire()
    rewrite(path, token="theirs", machine="elsewhere", host="node7", pid=123)
    return path


def test_one_of_two_holds_it_until_release(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "lease"), Lease(tmp_path / "lease")
    assert first.holder() is None
    assert first.acquire() and first.acquire() and not second.acquire()
    assert (first.held, second.held) == (True, False)
    holder = second.holder()
    assert holder is not None and holder["pid"] == os.getpid()
    second.release()  # does not hold it
    assert first.held and (tmp_path / "lease").exists()
    first.release()
    assert not first.held and names_in(tmp_path) == []
    assert second.acquire() and not first.held


def test_as_a_context_manager_it_is_released_after_an_error_too(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "lease")
    with pytest.raises(KeyError), lease:
        assert lease.held
        with pytest.raises(BenchError, match=rf"held by process {os.getpid()} on"), Lease(tmp_path / "lease"):
            raise AssertionError("two holders")
        raise KeyError
    assert not lease.held and not lease.path.exists()


def test_of_racing_processes_exactly_one_wins(tmp_path: Path) -> None:
    assert race(tmp_path / "leases", tmp_path / "go") == {str(i): 1 for i in range(LEASES)}


def test_leases_of_a_killed_process_are_taken_over_by_exactly_one(tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    (tmp_path / "go").touch()
    with running(RACER, folder, tmp_path / "go", LEASES) as (holder,):
        assert holder.stdout
        holder.stdout.readline()
        assert len(holder.stdout.readline().split()) == LEASES
        assert not Lease(folder / "0").acquire()  # alive
        holder.send_signal(signal.SIGKILL)
        # Not waited for: the process is a zombie now, which counts as gone.
        until(lambda: Path(f"/proc/{holder.pid}/stat").read_text().split()[2] == "Z")
        assert race(folder, tmp_path / "go2") == {str(i): 1 for i in range(LEASES)}
    assert not list(folder.glob("*claim*")) and not list(folder.glob(".*"))


def test_a_stopped_holder_loses_the_lease_and_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with running(HOLDER, path) as (holder,):
        assert holder.stdin and holder.stdout and holder.stdout.readline() == "True\n"
        mine = Lease(path, stale_after=0.4, beat=0.1)
        time.sleep(0.6)
        assert not mine.acquire()  # its heart beats
        holder.send_signal(signal.SIGSTOP)
        assert not mine.acquire()
        until(mine.acquire)
        time.sleep(0.5)
        holder.send_signal(signal.SIGCONT)
        print("held?", file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "False\n"
        print("released?", file=holder.stdin, flush=True)
        holder.stdout.readline()
        assert mine.held and path.exists()  # its release took nothing away
        mine.release()


def test_a_forked_child_neither_holds_nor_releases(tmp_path: Path) -> None:
    with running(FORKER, tmp_path / "lease") as (parent,):
        assert parent.stdout and parent.stdout.readline() == "False\n"
        assert parent.stdout.readline() == "True True\n"


def test_on_another_machine_only_the_heartbeat_counts(foreign: Path) -> None:
    lease = Lease(foreign, stale_after=60)
    rewrite(foreign, age=50)
    assert not lease.acquire()
    rewrite(foreign, age=70)
    assert lease.acquire() and lease.held
    holder = lease.holder()
    assert holder is not None and holder["pid"] == os.getpid()
    lease.release()


def test_a_pid_that_was_reused_is_not_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    Lease(path).acquire()
    assert not Lease(path).acquire()
    rewrite(path, token="theirs", started="1")  # this pid, started at another time
    assert Lease(path).acquire()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_an_unreadable_lease_is_held_until_its_heartbeat_is_old(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lease"
    path.write_text(text)
    lease = Lease(path)
    assert not lease.acquire() and lease.holder() == {}
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert lease.acquire()
    lease.release()


def test_a_claim_holds_others_off_and_is_cleared_when_its_maker_died(foreign: Path) -> None:
    rewrite(foreign, age=70)
    claim = foreign.with_name("lease.claim-theirs")
    claim.touch()
    lease = Lease(foreign)
    assert not lease.acquire() and not lease.acquire() and claim.exists()
    os.utime(claim, (time.time() - 61, time.time() - 61))
    assert not lease.acquire()  # clears it
    assert lease.acquire() and not claim.exists()
    lease.release()


@pytest.mark.parametrize("age", [0, 70])
def test_who_judged_another_lease_leaves_the_new_one_alone(
    foreign: Path, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    """However old the new one is: it takes a claim of its own to take it over."""
    rewrite(foreign, age=70)
    slow, fast = Lease(foreign), Lease(foreign)
    judge = Lease._stale
    calls: list[bool] = []

    def judged(self: Lease, seen: object) -> bool:
        verdict = judge(self, seen)  # type: ignore[arg-type]
        if self is slow and not calls:
            calls.append(fast.acquire())  # between the verdict and the claim
            rewrite(foreign, age, machine="elsewhere")
        return verdict

    monkeypatch.setattr(Lease, "_stale", judged)
    assert not slow.acquire() and calls == [True] and fast.held
    fast.release()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot write .*file/lease"):
        Lease(tmp_path / "file" / "lease").acquire()


def test_a_beat_must_fit_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stale_after=10"):
        Lease(tmp_path / "lease", stale_after=10, beat=6)


def test_a_lease_that_ran_out_is_neither_held_nor_taken_away(tmp_path: Path) -> None:
    """Between its last look and its release somebody else may have taken it over."""
    lease = Lease(tmp_path / "lease")
    lease.acquire()
    lease._last_beat -= 61
    assert not lease.held
    lease.release()
    assert lease.path.exists()
    os.utime(lease.path, (time.time() - 61, time.time() - 61))
    assert lease.acquire() and lease.held  # it can be had again
    lease.release()
    assert not lease.path.exists()
