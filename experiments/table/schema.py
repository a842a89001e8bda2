"""A published table as a config describes it: numbers, where they were read, and the runs that reproduce them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.arguments import CONFIGS
from experiments.sweep.cell import Cell

SCALES = ("paper", "cpu")


@dataclass(frozen=True)
class Published:
    """A number as the paper prints it.

    Attributes:
        value: None where nobody could read it, and `note` says so.
        error: what stands behind its ±.
        read_in: names of the table's `sources`.
    """

    value: float | None
    error: float | None = None
    read_in: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        better: where better lies.
        metric: the column of a protocol that measures it; None for what is not measured, and `note` says why.
        protocol: config that it is measured under.
        base: by scale, what every run of this column has in its cell, such as the data.
    """

    name: str
    better: Literal["lower", "higher", "none"]
    unit: str = ""
    metric: str | None = None
    protocol: str | None = None
    base: Mapping[str, Cell] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        published: by column.
        reference: real data and the like: shown, not compared.
        runs: by scale, the cell of the run that reproduces it.
        seeds: of its runs where they are not the table's.
    """

    name: str
    published: Mapping[str, Published]
    reference: bool = False
    runs: Mapping[str, Cell] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        sources: by the names that `read_in` uses, where numbers were read.
        seeds: by scale, of the runs.
    """

    name: str
    path: Path
    title: str
    citation: str
    sources: Mapping[str, str]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    seeds: Mapping[str, tuple[int, ...]]
    base: Mapping[str, Cell] = field(default_factory=dict)
    note: str = ""

    @property
    def argument(self) -> str:
        """What `reelbench table` takes to read it."""
        return self.name if self.path.is_relative_to(CONFIGS) else str(self.path)

    @property
    def scales(self) -> list[str]:
        """At which a run of some row reproduces some column."""
        measured = any(column.metric for column in self.columns)
        return [scale for scale in SCALES if measured and any(scale in row.runs for row in self.rows)]

    def seeds_of(self, row: Row, scale: str) -> tuple[int, ...]:
        """Of the runs that reproduce a row."""
        return row.seeds or self.seeds[scale]

    def cell(self, row: Row, column: Column, scale: str, seed: int) -> Cell | None:
        """What reproduces one number: the table's, the column's and the row's settings, later ones win."""
        if column.metric is None or scale not in row.runs:
            return None
        parts = (self.base.get(scale, {}), column.base.get(scale, {}), row.runs[scale])
        return {"scale": scale, **{key: value for part in parts for key, value in part.items()}, "seed": seed}
