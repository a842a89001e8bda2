"""Run identity and what is written about a run. Files are written whole or not at all."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from datamodules.jsonfile import now
from experiments.later import without_later

HEADER = "# reelbench run "
# What decides the weights, as a white list: a key that Lightning adds later cannot orphan runs.
TRAINER_KEYS = ("max_steps", "precision", "deterministic")
# Where the data lie and how they are loaded moves no number.
DATA_SKIP = ("num_workers", "root", "cache")
PRECISIONS = {None: "32-true", 32: "32-true", "32": "32-true"}


def decisive(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides the trained weights, values normalised."""
    trainer = {key: config["trainer"].get(key) for key in TRAINER_KEYS}
    trainer["precision"] = PRECISIONS.get(trainer["precision"], trainer["precision"])
    trainer["deterministic"] = bool(trainer["deterministic"])
    data, model = config["data"], dict(config["model"])
    if model.get("init_args"):
        model["init_args"] = without_later(model["class_path"], model["init_args"])
    return {
        "model": _plain(model),
        "data": {
            "class_path": data["class_path"],
            "init_args": {k: _plain(v) for k, v in (data.get("init_args") or {}).items() if k not in DATA_SKIP},
        },
        "ema": _plain(config.get("ema")),
        "trainer": trainer,
        "seed": config["seed_everything"],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def identity(config: Mapping[str, Any]) -> str:
    """64 hex digits; the run folder and the W&B id use the first 12."""
    return hashlib.sha256(json.dumps(decisive(config), sort_keys=True).encode()).hexdigest()


def recorded_hash(path: Path) -> str | None:
    """The hash in the first line of a run's config.yaml; None for a config that a person wrote."""
    with path.open(encoding="utf-8") as file:
        first = file.readline()
    return first[len(HEADER) :].strip() if first.startswith(HEADER) else None


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """`key: old -> new` for every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new})
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{path}.{k}" if path else str(k))]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]


def find_run(runs: Path, name: str, digest: str) -> Path:
    """The folder of this identity: an existing one under any name, else `<runs>/<name>-<hash12>`."""
    found = sorted(runs.glob(f"*-{digest[:12]}"))
    return found[0] if found else runs / f"{name}-{digest[:12]}"


def code_version() -> tuple[str, bool]:
    """Commit and whether the tree differs from it; the package version outside a checkout."""
    here = Path(__file__).resolve().parent.parent
    if (here / ".git").exists():
        try:
            commit = _git(here, "rev-parse", "--short=10", "HEAD")
            return commit, bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
        except (OSError, subprocess.SubprocessError):
            pass  # no git, or no commit yet: the package version says what it can
    try:
        return metadata.version("reelbench"), False
    except metadata.PackageNotFoundError:
        return "unknown", False


def _git(here: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=here, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


PACKAGES = ("torch", "lightning", "torchmetrics", "jsonargparse", "omegaconf", "numpy", "scipy", "av", "wandb")


def environment() -> dict[str, Any]:
    """What the run ran on; recorded, shown, not hashed."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    commit, dirty = code_version()
    return {
        "code_version": commit,
        "dirty": dirty,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": os.cpu_count(),
        "packages": versions,
        "command": sys.argv,
        "slurm": {
            k: os.environ[k] for k in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_NODELIST") if k in os.environ
        },
        "time": now(),
    }
