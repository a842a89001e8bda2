"""A real sweep of three tiny runs on shape motion, broken off in the middle, ends as the unbroken one does."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.runs import checkpoint, run, start, unequal

pytestmark = pytest.mark.slow

MOCOGAN = {"ngf": 2, "ndf": 2, "image_batch": 2, "init": "default"}
PROTOCOL = {
    "evaluate": {
        "protocol": {"label": "tiny", "split": "test", "n_real": 4, "n_fake": 4, "seed": 3},
        "metrics": {"acd_color": {"class_path": "metrics.content.AverageContentDistance"}},
    }
}


def sweep_file(folder: Path, steps: int = 60) -> str:
    small = {f"model.init_args.{key}": value for key, value in MOCOGAN.items()}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(PROTOCOL))
    content = {
        "base": {
            "method": "mocogan_cpu",
            "data": "shape_motion",
            "trainer": "cpu",
            "data.init_args.size": 32,
            "data.init_args.batch_size": 2,
            "trainer.max_steps": steps,
            "trainer.log_every_n_steps": 1,
            "checkpoint.every": 10,
            "wandb.enabled": False,
            **small,
        },
        "grid": {"seed": [0, 1, 2]},
        "protocols": [str(folder / "tiny.yaml")],
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return str(folder / "sweep.yaml")


def command(folder: Path) -> list[str]:
    return ["sweep", sweep_file(folder), "--local", "2", "--threads", "1", "--runs", str(folder / "runs")]


def values(folder: Path) -> dict[str, Any]:
    """Each run's number by its folder."""
    found = {}
    for path in (folder / "runs").glob("*/results.json"):
        (entry,) = json.loads(path.read_text())["results"].values()
        found[path.parent.name] = {name: number["value"] for name, number in entry["values"].items()}
    return found


def wait_for(what: str, process: Any, condition: Any) -> Any:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"the sweep never {what}")


def logged(folder: Path, rows: int) -> list[Path]:
    """Run folders that logged so much."""
    return [p.parent for p in (folder / "runs").glob("*/metrics.csv") if p.read_bytes().count(b"\n") > rows]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    done = run(*command(folder), timeout=400)
    assert done.returncode == 0, done.stderr
    assert len(values(folder)) == 3 and "3 done" in done.stderr
    return folder


def assert_alike(unbroken: Path, broken: Path) -> None:
    assert values(broken) == values(unbroken)
    for path in (unbroken / "runs").iterdir():
        rows = [
            sorted((folder / "runs" / path.name / "metrics.csv").read_text().splitlines())
            for folder in (unbroken, broken)
        ]
        assert rows[0] == rows[1]
        one, other = (_checkpoint(folder / "runs" / path.name) for folder in (unbroken, broken))
        assert unequal(one, other) == []


def _checkpoint(folder: Path) -> dict[str, Any]:
    alone = folder.parent.parent / f"only-{folder.name}"
    alone.mkdir(exist_ok=True)
    link = alone / folder.name
    if not link.exists():
        link.symlink_to(folder)
    return checkpoint(alone)


def test_a_killed_child_and_a_stopped_sweep(unbroken: Path, tmp_path: Path) -> None:
    process = start(*command(tmp_path), log=tmp_path / "log")
    victim, other = wait_for("trained two runs at once", process, lambda: both(logged(tmp_path, 15 * 3)))
    os.kill(json.loads((victim / "status.json").read_text())["pid"], signal.SIGKILL)
    wait_for("noticed the kill", process, lambda: "was killed by SIGKILL" in (tmp_path / "log").read_text())
    assert process.poll() is None, "one run's death ended the sweep"
    process.send_signal(signal.SIGTERM)
    assert process.wait(200) == 1
    said = (tmp_path / "log").read_text()
    assert f"{victim.name}: failed: fit was killed by SIGKILL" in said
    assert f"{other.name}: unfinished: stopped, to be resumed" in said
    assert json.loads((other / "status.json").read_text())["state"] == "preempted"
    assert len(values(tmp_path)) == 0

    done = run(*command(tmp_path), timeout=400)
    assert done.returncode == 0, done.stderr
    assert_alike(unbroken, tmp_path)
    status_table = run(*command(tmp_path)[:2], "--status", "--runs", tmp_path / "runs")
    assert status_table.stdout.splitlines()[-1] == "3 runs: 3 done"


def both(folders: list[Path]) -> list[Path]:
    """The two, once there are two."""
    return folders if len(folders) == 2 else []
