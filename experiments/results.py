"""results.json of a run: what was measured under which protocol. Read by leaderboards, tables and reports."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datamodules.jsonfile import now, read_json, write_json
from metrics.base import MetricResult, VideoMetric
from metrics.frames import columns
from metrics.protocol import Protocol


def asked_digest(evaluate: Mapping[str, Any]) -> str:
    """12 digits for what an evaluation is asked to measure, known before it runs: conditions, metrics, their settings.

    Args:
        evaluate: that part of a resolved config. Its label names and its split is the command's: neither counts.
    """
    conditions = {key: value for key, value in evaluate["protocol"].items() if key not in ("label", "split")}
    asked = json.dumps({"protocol": conditions, "metrics": evaluate["metrics"]}, sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def write_results(
    folder: Path,
    about: Mapping[str, Any],
    protocol: Protocol,
    results: Mapping[str, MetricResult],
    metrics: Mapping[str, VideoMetric],
    measured: Mapping[str, Any],
) -> dict[str, float]:
    """Adds one protocol's numbers to results.json; those of other protocols stay.

    Args:
        about: name, identity, method, data, seed and the like, of the run.
        metrics: by their key in the config.
        measured: step, weights (`raw`, `ema` or `none`), seconds, code version, asked (a list of `asked_digest`).

    Returns:
        The flat summary, `<split>/<metric>/<label>-<hash6>` -> value.
    """
    of_column = columns(metrics, protocol.samples)
    values = {
        name: {
            **result.as_dict(),
            "key": protocol.key(name, result.fingerprint),
            "higher_is_better": of_column[name].higher_is_better,
        }
        for name, result in results.items()
    }
    path = folder / "results.json"
    old = read_json(path)
    entry = {"protocol": asdict(protocol), **measured, "time": now(), "values": values}
    # One entry a protocol: metrics measured earlier under the same conditions and weights stay beside the new ones.
    before = old.get("results", {}).get(protocol.hash, {})
    if all(before.get(k) == entry.get(k) for k in ("step", "weights")):
        entry["values"] = {**before.get("values", {}), **values}
        if all(
            before["values"][name]["key"] == values[name]["key"] for name in before.get("values", {}).keys() & values
        ):
            # else a column was measured with other settings before, and what was asked then is no longer all there
            entry["asked"] = sorted({*before.get("asked", []), *entry.get("asked", [])})
    write_json(path, {**old, **about, "results": {**old.get("results", {}), protocol.hash: entry}})
    return {v["key"]: v["value"] for v in values.values() if v["value"] is not None}
