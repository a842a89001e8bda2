"""Run folders of toy runs with given numbers, for tests of tables."""

import json
from pathlib import Path
from typing import Any

import yaml

from experiments.record import HEADER
from experiments.sweep.plan import PlannedRun
from metrics.protocol import Protocol
from tests.experiments.run_folders import number

METRICS = {"acd_color": {"class_path": "metrics.content.AverageContentDistance"}}


def protocol_file(folder: Path, **settings: Any) -> str:
    """A protocol of a few clips."""
    path = folder / "tiny.yaml"
    content = {"evaluate": {"protocol": {"label": "tiny", "split": "test", **settings}, "metrics": METRICS}}
    path.write_text(yaml.safe_dump(content))
    return str(path)


def finish(run: PlannedRun, value: float | None, error: float | None = None, note: str = "", **conditions: Any) -> None:
    """Writes what `fit` and `test` would leave of a run that scored `value`.

    Args:
        conditions: of the protocol, over those of toy clips.
    """
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(f"{HEADER}{run.identity[:12]}\n{yaml.safe_dump(run.config)}")
    status = {"state": "finished", "step": run.max_steps, "max_steps": run.max_steps}
    (run.folder / "status.json").write_text(json.dumps(status))
    protocol = Protocol(**{"label": "tiny", "split": "test", "frames": 4, "stride": 1, "data": "toy", **conditions})
    entry = {
        "protocol": {**protocol.conditions, "label": protocol.label},
        "step": run.max_steps,
        "max_steps": run.max_steps,
        "weights": "raw",
        "asked": [test.asked for test in run.tests],
        "values": {"acd_color": number(protocol, "acd_color", value, error, note=note)},
    }
    head = {"name": run.folder.name, "identity": run.identity, "seed": run.config["seed_everything"]}
    (run.folder / "results.json").write_text(json.dumps({**head, "results": {protocol.hash: entry}}))
