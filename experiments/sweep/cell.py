"""A cell of a sweep or table as arguments: the words that a person would type to run it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from experiments.arguments import CONFIGS
from experiments.near import nearest

# A cell's keys: these configs in this order, later ones win; `config` for further files; the seed; and options of
# `reelbench fit` by their dotted names, which win over all files.
KINDS = ("method", "data", "trainer")
PLAIN = ("name", "scale", "compile")
GROUPS = ("model", "data", "trainer", "ema", "evaluate", "samples", "preempt", "checkpoint", "wandb")
KNOWN = (*KINDS, "config", "seed", *PLAIN)

Cell = Mapping[str, Any]


def check_key(where: str, key: Any) -> None:
    """Refuses what can be no key of a cell; the parser judges the rest of a dotted name.

    Raises:
        BenchError: with the nearest key.
    """
    group, dot, _ = str(key).partition(".")
    if dot and group in GROUPS:
        return
    if dot:
        raise BenchError(f"{where}.{key}: no option begins with '{group}.'{nearest(group, GROUPS)}")
    if key not in KNOWN:
        hint = nearest(str(key), KNOWN)
        raise BenchError(f"{where}: no key '{key}'{hint} (options have dotted names, such as model.init_args.lr)")


def config_name(kind: str, name: Any) -> str:
    """`mocogan_cpu` -> `method/mocogan_cpu`; a path, or a name with its folder, stays.

    Raises:
        BenchError: not a name.
    """
    if not isinstance(name, str) or not name:
        raise BenchError(f"{kind}: expected a config's name or file, found {name!r}")
    return name if "/" in name or Path(name).suffix else f"{kind}/{name}"


def is_there(kind: str, name: Any) -> bool:
    """Whether the config is there: a table may name one that is still to come."""
    path = config_name(kind, name)
    return any(candidate.is_file() for candidate in (Path(path), CONFIGS / path, CONFIGS / f"{path}.yaml"))


def arguments(cell: Cell) -> list[str]:
    """For `reelbench fit`; a value of null leaves its key to the configs."""
    argv: list[str] = []
    given = {key: value for key, value in cell.items() if value is not None}
    for kind in KINDS:
        if kind in given:
            argv += ["--config", config_name(kind, given[kind])]
    further = given.get("config", [])
    for name in further if isinstance(further, list) else [further]:
        argv += ["--config", str(name)]
    if "seed" in given:
        argv.append(f"--seed_everything={_word(given['seed'])}")
    argv += [f"--{key}={_word(value)}" for key, value in given.items() if key not in (*KINDS, "config", "seed")]
    return argv


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def describe(cell: Cell, varied: list[str]) -> str:
    """The cell by what sets it apart: `method=vgan_cpu seed=0`."""
    keys = varied or [key for key in cell if key in (*KINDS, "seed")]
    return " ".join(f"{key.rpartition('.')[2]}={_word(cell[key])}" for key in keys if cell.get(key) is not None)
