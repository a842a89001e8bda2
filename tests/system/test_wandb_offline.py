"""W&B as a second sink: offline without a key, readable after a kill, one run a run."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.runs import HELPERS, ROOT, TOY, environment, rows, send_at_row

ON = ["--wandb.enabled", "true", "--samples.every", "12", "--samples.n", "2"]


class Server(ThreadingHTTPServer):
    """Stands in for W&B's and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Count)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Count(BaseHTTPRequestHandler):
    def _count(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        self.send_error(404)

    do_GET = do_POST = do_PUT = do_HEAD = _count

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def without_key(home: Path, server: Server) -> dict[str, str]:
    """No key anywhere, no mode set, and a server that would notice a word."""
    home.mkdir(exist_ok=True)
    env = environment(HOME=str(home), NETRC=str(home / "netrc"), WANDB_BASE_URL=server.url)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        env.pop(name, None)
    return env


def inspect(folder: Path, *options: str) -> str:
    words = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(folder)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """Two fits of one process."""
    base = tmp_path_factory.mktemp("wandb")
    words = [sys.executable, str(HELPERS / "two_runs.py"), TOY, str(base / "runs"), *ON]
    done = subprocess.run(
        words,
        env=without_key(base / "home", server),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return base / "runs"


def test_nothing_is_asked_for_or_sent_without_a_key(both: Path, server: Server) -> None:
    assert server.asked == []
    assert len(list(both.glob("*/wandb/offline-run-*"))) == 2


def test_identity_is_the_run_id_and_runs_do_not_leak(both: Path) -> None:
    found = {}
    for folder in both.iterdir():
        (offline,) = folder.glob("wandb/offline-run-*")
        summary = json.loads(inspect(offline, "--summary"))
        found[folder.name] = summary
        assert summary["run_id"] == folder.name.rpartition("-")[2]
        assert summary["state"] == "finished" and summary["exit_code"] == 0
        assert {"toy", "cpu"} <= set(summary["tags"])
        assert summary["summary"]["trainer/global_step"] == 23
        (key,) = (k for k in summary["summary"] if k.startswith("val/acd_color/quick-"))
        assert f",{key}," in (folder / "metrics.csv").read_text()
    seeds = {s["config"]["seed_everything"] for s in found.values()}
    assert seeds == {0, 1} and len(found) == 2


def test_seeds_share_a_group(both: Path) -> None:
    groups = set()
    for offline in both.glob("*/wandb/offline-run-*"):
        records = [json.loads(line) for line in inspect(offline).splitlines()]
        text = json.dumps([r for r in records if r.get("type") == "run" or "run" in r])
        assert '"train"' in text  # the job type
        groups.add(text.split('"run_group": "')[1].split('"')[0])
    assert len(groups) == 1 and groups.pop().startswith("toy-")


def test_sample_clips_are_mp4_files(both: Path) -> None:
    for folder in both.iterdir():
        media = sorted(folder.glob("wandb/offline-run-*/files/media/videos/*.mp4"))
        assert len(media) == 4  # two clips at steps 12 and 24
        sizes = {p.stat().st_size for p in media}
        assert sizes == {p.stat().st_size for p in folder.glob("samples/step-*/*.mp4")}


def test_file_of_a_killed_run_is_readable(tmp_path: Path, server: Server) -> None:
    runs, log = tmp_path / "runs", tmp_path / "log"
    env = without_key(tmp_path / "home", server) | {"TOY_DELAY": "0.25"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments", "fit", "--config", TOY, "--runs", str(runs), *ON],
            env=env,
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    assert send_at_row(process, runs, 16, signal.SIGKILL, seed=0) == -signal.SIGKILL, log.read_text()
    (offline,) = runs.glob("*/wandb/offline-run-*")
    history = [json.loads(x) for x in inspect(offline).splitlines() if '"train/generator"' in x]
    assert len(rows(runs)) >= 16 and len(history) >= 5
    assert json.loads(inspect(offline, "--summary"))["config"]["name"] == "toy"
