"""Run folders as a run leaves them, for tests that read them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from datamodules.media import write_mp4
from metrics.protocol import Protocol

QUICK = Protocol(
    label="quick",
    split="val",
    frames=16,
    stride=1,
    data="shape_motion",
    split_digest="0123456789abcdef",
    height=64,
    width=64,
    channels=3,
    resize="none",
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def number(
    protocol: Protocol,
    metric: str,
    value: float | None,
    error: float | None = None,
    *,
    better: bool | None = False,
    settings: str = "",
    note: str = "",
) -> dict[str, Any]:
    """An entry of `values`, as the suite records it."""
    fingerprint = f"{metric} {settings}".strip()
    return {
        "value": value,
        "standard_error": error,
        "n_real": protocol.n_real,
        "n_fake": protocol.n_fake,
        "fingerprint": fingerprint,
        "note": note,
        "key": protocol.key(metric, fingerprint),
        "higher_is_better": better,
    }


def score(protocol: Protocol, *numbers: dict[str, Any], **over: Any) -> dict[str, Any]:
    """What `results` holds for one protocol."""
    return {
        "protocol": {**protocol.conditions, "label": protocol.label},
        "step": 1500,
        "max_steps": 1500,
        "weights": "raw",
        "time": "2026-01-02T03:00:00+00:00",
        "seconds": 1.5,
        "code_version": "abc1234",
        "values": {n["key"].split("/")[1]: n for n in numbers},
        **over,
    }


def write_run(
    root: Path,
    name: str,
    *scores: dict[str, Any],
    seed: int = 0,
    lr: float = 1e-4,
    status: dict[str, Any] | None = None,
    **about: Any,
) -> Path:
    """A whole run folder; `lr` stands for all of the method's settings.

    Args:
        status: over a finished run's.
        about: over the head of results.json.
    """
    config = {
        "seed_everything": seed,
        "model": {"class_path": f"lightning_modules.{name}.module.Net", "init_args": {"lr": lr}},
        "data": {"class_path": "datamodules.synthetic.shape_motion.ShapeMotion", "init_args": {"size": 64}},
        "trainer": {"max_steps": 1500, "default_root_dir": str(root / f"{name}-{seed}")},
    }
    digest = f"{abs(seed) + round(lr * 1e6):06x}" + "0123456789" * 6
    folder = root / f"{name}-{digest[:12]}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"# reelbench run {digest[:12]}\n" + yaml.safe_dump(config))
    finished = {
        "state": "finished",
        "step": 1500,
        "max_steps": 1500,
        "host": "node1",
        "pid": 1,
        "job": None,
        "started": "2026-01-02T02:00:00+00:00",
        "heartbeat": "2026-01-02T03:00:00+00:00",
        "reason": None,
        "seconds": 3600.0,
    }
    (folder / "status.json").write_text(json.dumps(finished | (status or {})))
    (folder / "environment.json").write_text(json.dumps({"code_version": "abc1234", "dirty": False}))
    if scores:
        head = {
            "name": name,
            "identity": digest,
            "method": name,
            "class_path": f"lightning_modules.{name}.module.Net",
            "data": "shape_motion",
            "seed": seed,
            "code_version": "abc1234",
            "scale": "cpu",
            "tags": [],
            "reference": False,
        }
        results = {**head, **about, "results": {hash_of(entry): entry for entry in scores}}
        (folder / "results.json").write_text(json.dumps(results))
    return folder


def hash_of(entry: dict[str, Any]) -> str:
    """The protocol's six digits, from its conditions."""
    return Protocol(**entry["protocol"]).hash


def write_clip(path: Path, hue: int = 0, size: int = 64, frames: int = 16) -> None:
    """An mp4 of a square that moves to the right, 8 frames a second."""
    clip = np.full((frames, size, size, 3), 24, dtype=np.uint8)
    for t in range(frames):
        left = t * (size // 2) // frames
        clip[t, size // 4 : size // 2, left : left + size // 3] = (hue % 256, 255 - hue % 256, 120)
    write_mp4(path, clip)


def write_curves(folder: Path, rows: list[tuple[int, str, float]]) -> None:
    """metrics.csv, as the log writes it."""
    lines = [f"{step},{name},{value!r}\n" for step, name, value in rows]
    (folder / "metrics.csv").write_text("".join(["step,name,value\n", *lines]))
