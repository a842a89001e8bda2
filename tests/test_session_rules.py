"""What tests/conftest.py promises of every session, tried on small sessions in processes of their own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci_skips import ExpectedSkips
from tests.offline.sitecustomize import OfflineError

ROOT = Path(__file__).parent.parent
CONFIG = "[tool.pytest.ini_options]\npythonpath = ['.']\naddopts = '--import-mode=importlib'\nxfail_strict = true\n"
SKIPS = """
import pytest

def test_passes() -> None:
    pass

def test_needs_data() -> None:
    pytest.skip("REELBENCH_DATA is not set: no clips")

@pytest.mark.parametrize("case", ["one", "two"])
def test_needs_luck(case: str) -> None:
    pytest.skip("no luck")

@pytest.mark.xfail(reason="known")
def test_known() -> None:
    assert False
"""
LISTED = """
# a comment
tests/test_a.py::test_needs_data # needs REELBENCH_DATA
tests/test_a.py::test_needs_luck* # luck is rare
tests/test_a.py::test_known # the cause is known
"""


def session(
    folder: Path, body: str, listed: str = "", *args: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `body` as tests/test_a.py under this project's conftest and the list `listed`."""
    tests = folder / "tests"
    (tests / "offline").mkdir(parents=True, exist_ok=True)
    for name in ("conftest.py", "ci_skips.py", "offline/sitecustomize.py"):
        (tests / name).write_text((ROOT / "tests" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tests / "test_a.py").write_text(body, encoding="utf-8")
    (tests / "expected_skips.txt").write_text(listed, encoding="utf-8")
    (folder / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    base = {k: v for k, v in os.environ.items() if not k.startswith(("REELBENCH_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests", *args],
        cwd=folder,
        env=base | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def unexpected(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the tests that the session complains of."""
    rest = done.stdout.partition("skips that are not expected")[2]
    return {x.split(": ")[0].removeprefix("tests/test_a.py::") for x in rest.splitlines()[1:] if "test_a.py" in x}


XDIST = ("-p", "xdist", "-n", "2")


@pytest.mark.parametrize("workers", [(), XDIST], ids=["one process", "workers"])
def test_unlisted_skips_fail_the_session(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = session(tmp_path, SKIPS, "", *workers, REELBENCH_CI="1")
    assert done.returncode == 1
    assert unexpected(done) == {"test_needs_data", "test_needs_luck[one]", "test_needs_luck[two]", "test_known"}
    assert "test_needs_luck[one]: skipped: Skipped: no luck" in done.stdout
    assert "test_known: expected to fail: known" in done.stdout


def test_listed_skips_pass(tmp_path: Path) -> None:
    done = session(tmp_path, SKIPS, LISTED, REELBENCH_CI="1")
    assert (done.returncode, unexpected(done)) == (0, set())
    assert "1 passed, 3 skipped, 1 xfailed" in done.stdout


@pytest.mark.parametrize("workers", [(), XDIST], ids=["one process", "workers"])
def test_a_module_that_skips_itself(tmp_path: Path, workers: tuple[str, ...]) -> None:
    body = "import pytest\n\npytest.importorskip('no_such_module_anywhere')\n"
    done = session(tmp_path, body, "", *workers, REELBENCH_CI="1")
    assert done.returncode == 1
    assert "tests/test_a.py: skipped: Skipped: could not import 'no_such_module_anywhere'" in done.stdout


def test_a_line_without_a_reason_is_refused(tmp_path: Path) -> None:
    done = session(tmp_path, SKIPS, "tests/test_a.py::test_needs_data\n", REELBENCH_CI="1")
    assert done.returncode == 4
    assert "a line is `node id # reason`, found 'tests/test_a.py::test_needs_data'" in done.stderr


def test_which_skips_a_list_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "expected_skips.txt"
    path.write_text("a::x # needs REELBENCH_DATA\na::y[* # luck\na::z # slow\n", encoding="utf-8")
    allows = ExpectedSkips(path).allows
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    assert allows("a::x", "REELBENCH_DATA is not set")
    assert allows("a::y[1]", "no luck")
    assert allows("a::z", "REELBENCH_DATA is not set")
    assert not allows("a::x1", "")  # no prefix without a star
    assert not allows("b::x", "")
    monkeypatch.setenv("REELBENCH_DATA", "/somewhere")  # now that the files are there, the tests must run
    assert not allows("a::x", "")
    assert not allows("a::z", "REELBENCH_DATA is not set")
    monkeypatch.setenv("REELBENCH_POSE_MODELS", "/somewhere")  # a name of several words
    assert not allows("a::z", "REELBENCH_POSE_MODELS is not set")
    assert allows("a::z", "slow")
    assert allows("a::y[1]", "no luck")


def test_outside_ci_skips_are_free(tmp_path: Path) -> None:
    done = session(tmp_path, SKIPS)
    assert done.returncode == 0
    assert "not expected" not in done.stdout


def test_a_failure_stays_a_failure(tmp_path: Path) -> None:
    done = session(tmp_path, "def test_a() -> None:\n    assert False\n", "", REELBENCH_CI="1")
    assert (done.returncode, unexpected(done)) == (1, set())


def test_the_network_is_out_of_reach() -> None:
    log = Path(os.environ["REELBENCH_TEST_CONNECTIONS"])
    with pytest.raises(OfflineError, match=r"look up example\.org"):
        socket.getaddrinfo("example.org", 443)
    with socket.socket() as far, pytest.raises(OfflineError, match=r"connect to 192\.0\.2\.1"):
        far.connect(("192.0.2.1", 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far, pytest.raises(OfflineError, match="sendto"):
        far.sendto(b"x", ("192.0.2.1", 53))
    assert len(log.read_text().splitlines()) == 3
    log.write_text("")  # on purpose, so not a failure


def test_this_machine_is_in_reach() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(("localhost", server.getsockname()[1])) as near:
        near.sendall(b"x")
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()


SWALLOWS = """
import contextlib, socket, subprocess, sys

CODE = "import contextlib, socket\\nwith contextlib.suppress(OSError): socket.create_connection(('192.0.2.1', 80))"

def test_here() -> None:
    exec(CODE)

def test_in_a_command() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)

def test_at_home() -> None:
    pass
"""


def test_an_attempt_fails_the_test_even_where_the_error_is_swallowed(tmp_path: Path) -> None:
    done = session(tmp_path, SWALLOWS)
    assert done.returncode == 1
    assert "3 passed, 2 errors" in done.stdout
    # Only pytest's own lines of the two failures: how much its summary repeats depends on the width and on CI.
    shown = [line.removeprefix("E").strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    assert shown == ["Failed: tests are offline, but this one tried to look up 192.0.2.1"] * 2


LEAKS = """
import os
from pathlib import Path

def test_changes() -> None:
    os.environ["PL_GLOBAL_SEED"] = "1"
    os.environ["HOME"] = "/elsewhere"

def test_does_not_see_them() -> None:
    assert "PL_GLOBAL_SEED" not in os.environ
    assert os.environ["HOME"] != "/elsewhere"

def test_folders() -> None:
    bases = {Path(os.environ[x]).parent for x in ("REELBENCH_CACHE", "REELBENCH_RUNS", "WANDB_DIR", "XDG_CACHE_HOME")}
    assert len(bases) == 1
    print("base", bases.pop())
    assert "SLURM_JOB_ID" not in os.environ
    assert os.environ["WANDB_MODE"] == "offline"

def test_one_thread() -> None:
    import torch
    assert torch.get_num_threads() == 1
"""


def test_sessions_are_alone_and_clean_up(tmp_path: Path) -> None:
    done = session(tmp_path, LEAKS, "", "-s", SLURM_JOB_ID="7", REELBENCH_RUNS="/home/me/runs", WANDB_MODE="online")
    assert done.returncode == 0, done.stdout
    (base,) = [line.split()[-1] for line in done.stdout.splitlines() if "base /" in line]
    assert "/home/me" not in base
    assert not Path(base).exists()
