"""A sweep's file: base arguments and axes, resolved to cells; a cell is what one run is composed of."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import BenchError
from experiments.arguments import config_path
from experiments.near import nearest
from experiments.sweep.cell import Cell, check_key

KEYS = ("name", "base", "grid", "zip", "exclude", "protocols")


@dataclass(frozen=True)
class SweepFile:
    """What a sweep's file says.

    Attributes:
        name: tags its runs; the file's stem by default.
        base: of every cell.
        axes: each a list of settings that are taken in turn; the cells are their product. An entry of `grid` makes an
            axis of one key, one of `zip` an axis of several keys that advance together.
        exclude: conditions; a cell that meets one is left out.
        protocols: configs under which every trained run is scored.
    """

    path: Path
    name: str
    base: Cell = field(default_factory=dict)
    axes: tuple[tuple[Cell, ...], ...] = ()
    exclude: tuple[Mapping[str, tuple[Any, ...]], ...] = ()
    protocols: tuple[str, ...] = ()

    @property
    def varied(self) -> list[str]:
        """Keys that differ between cells, in the file's order."""
        return [key for axis in self.axes for key in axis[0]]

    def cells(self) -> list[Cell]:
        """All cells, the last axis fastest.

        Raises:
            BenchError: an exclusion that excludes nothing, or all.
        """
        cells: list[Cell] = [
            {**self.base, **{key: value for part in parts for key, value in part.items()}}
            for parts in itertools.product(*self.axes)
        ]
        kept = cells
        for number, condition in enumerate(self.exclude):
            left = [cell for cell in kept if not _meets(cell, condition)]
            if not any(_meets(cell, condition) for cell in cells):
                raise BenchError(f"{self.path}: exclude[{number}] excludes nothing; mend or remove it")
            kept = left
        if not kept:
            raise BenchError(f"{self.path}: exclude leaves no cell")
        return kept


def _meets(cell: Cell, condition: Mapping[str, tuple[Any, ...]]) -> bool:
    return all(cell.get(key) in values for key, values in condition.items())


def read_sweep(name: str) -> SweepFile:
    """Reads a sweep's file.

    Args:
        name: a path, or the name of a packaged `sweep/` config.

    Raises:
        BenchError: no such file, or something in it that is not a sweep.
    """
    path = config_path(name if Path(name).is_file() or name.startswith("sweep/") else f"sweep/{name}")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise BenchError(f"{path}: a sweep holds the keys {', '.join(KEYS)}, found {type(content).__name__}")
    for key in content:
        if key not in KEYS:
            raise BenchError(f"{path}: no key '{key}' in a sweep{nearest(str(key), KEYS)}")
    base = _mapping(path, "base", content.get("base"))
    axes = tuple(_axes(path, content))
    varied = [key for axis in axes for key in axis[0]]
    twice = sorted({key for key in varied if varied.count(key) > 1})
    if twice:
        raise BenchError(f"{path}: {', '.join(twice)} stands in two axes of grid and zip; a key varies in one")
    if not base and not axes:
        raise BenchError(f"{path}: neither base nor grid nor zip: there is nothing to run")
    return SweepFile(
        path=path,
        name=str(content.get("name", path.stem)),
        base=base,
        axes=axes,
        exclude=tuple(_exclusions(path, content.get("exclude"), [*base, *varied])),
        protocols=tuple(str(value) for value in _several(content.get("protocols"))),
    )


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _mapping(path: Path, where: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchError(f"{path}: {where} holds keys with values, found {type(value).__name__}")
    for key in value:
        check_key(f"{path}: {where}", key)
    return {str(key): item for key, item in value.items()}


def _axes(path: Path, content: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    for key, values in _mapping(path, "grid", content.get("grid")).items():
        if not isinstance(values, list) or not values:
            raise BenchError(f"{path}: grid.{key} must list values, found {values!r}")
        yield tuple({key: value} for value in values)
    for number, group in enumerate(_several(content.get("zip"))):
        lists = _mapping(path, f"zip[{number}]", group)
        lengths = {key: len(values) if isinstance(values, list) else 0 for key, values in lists.items()}
        if not lists or 0 in lengths.values() or len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {n or 'no list'}" for key, n in lengths.items()) or "it is empty"
            raise BenchError(f"{path}: zip[{number}] needs lists of one length: {told}")
        yield tuple(dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True))


def _exclusions(path: Path, value: Any, known: list[str]) -> Iterator[dict[str, tuple[Any, ...]]]:
    for number, raw in enumerate(_several(value)):
        condition = _mapping(path, f"exclude[{number}]", raw)
        if not condition:
            raise BenchError(f"{path}: exclude[{number}] is empty, so it would exclude every cell")
        for key in condition:
            if key not in known:
                raise BenchError(f"{path}: exclude[{number}]: no cell has '{key}'{nearest(key, known)}")
        yield {key: tuple(_several(item)) for key, item in condition.items()}
