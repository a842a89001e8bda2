"""Stands in for `python -m experiments` in tests of sweeps: a run in no time that ends as it is told to.

COMMAND FOLDER BEHAVIOUR [--config PROTOCOL]; `fit` leaves a status and `test` a score, as the real commands do.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

command, folder, behaviour = sys.argv[1], Path(sys.argv[2]), sys.argv[3]


def status(state: str, step: int) -> None:
    written = {"state": state, "step": step, "max_steps": 10, "seconds": float(step)}
    (folder / ".status").write_text(json.dumps(written))
    (folder / ".status").replace(folder / "status.json")


def asked_to_stop(number: int, frame: FrameType | None) -> None:
    if behaviour == "stubborn":
        return
    status("preempted", 5)
    os._exit(75)


def wait() -> None:
    """Until somebody lets it go on, or asks it to stop."""
    signal.signal(signal.SIGTERM, asked_to_stop)
    status("running", 5)
    deadline = time.monotonic() + 60
    while not (folder.parent / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def train() -> None:
    with (folder.parent / "fits").open("a") as file:
        file.write(f"{folder.name} {time.monotonic()}\n")
    print(f"threads {os.environ['OMP_NUM_THREADS']} niceness {os.nice(0)} group {os.getpgid(0) == os.getpid()}")
    if behaviour == "fail" and not (folder.parent / "mended").exists():
        print("reelbench: data.init_args.size must be even, found 3")
        sys.exit(2)
    if behaviour == "limit":
        status("stopped", 5)
        return
    if behaviour in ("wait", "stubborn"):
        wait()
    if behaviour == "short":
        time.sleep(0.2)
    status("finished", 10)
    with (folder.parent / "ends").open("a") as file:
        file.write(f"{folder.name} {time.monotonic()}\n")


def score(protocol: str) -> None:
    if behaviour == "unscorable":
        raise RuntimeError("no clips")
    path = folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text())["results"] if path.exists() else {}
    value = None if behaviour == "blank" and not (folder.parent / "mended").exists() else 1.5
    results[protocol] = {"step": 10, "asked": [protocol], "values": {"fvd": {"value": value}}}
    path.write_text(json.dumps({"results": results}))


if command == "fit":
    train()
else:
    score(sys.argv[sys.argv.index("--config") + 1])
