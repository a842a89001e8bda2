"""Reads a table's file, and refuses a number that nobody read."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import BenchError
from experiments.arguments import CONFIGS, config_path
from experiments.near import nearest
from experiments.sweep.cell import Cell, check_key
from experiments.table.schema import SCALES, Column, Published, Row, Table

KEYS = ("title", "citation", "sources", "note", "protocol", "columns", "seeds", "base", "rows")
COLUMN_KEYS = ("better", "unit", "metric", "protocol", "base", "note")
VALUE_KEYS = ("value", "error", "read_in", "note")
ROW_KEYS = ("published", "read_in", "reference", "runs", "seeds", "note")
BETTER = ("lower", "higher", "none")
# A number from memory is no published number.
RECALLED = re.compile(r"recall|memory|remember", re.IGNORECASE)


def names() -> list[str]:
    """The packaged tables."""
    return sorted(path.stem for path in (CONFIGS / "table").glob("*.yaml"))


def read_table(name: str) -> Table:
    """Reads a table's file.

    Args:
        name: a path, or the name of a packaged `table/` config.

    Raises:
        BenchError: no such file; something in it that is no table; a number that nobody read.
    """
    path = config_path(name if Path(name).is_file() or name.startswith("table/") else f"table/{name}")
    return _Reader(path).table()


class _Reader:
    """Reads one file; each message begins with its path and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = self.keys("a table", yaml.safe_load(path.read_text(encoding="utf-8")), KEYS)

    def fail(self, where: str, text: str) -> BenchError:
        return BenchError(f"{self.path}: {where}: {text}")

    def mapping(self, where: str, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.fail(where, f"expected keys with values, found {type(value).__name__}")
        return {str(key): item for key, item in value.items()}

    def keys(self, where: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
        content = self.mapping(where, value)
        for key in content:
            if key not in known:
                raise self.fail(where, f"no key '{key}'{nearest(key, known)}")
        return content

    def text(self, where: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.fail(where, f"expected a text, found {value!r}")
        return " ".join(value.split())

    def number(self, where: str, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(where, f"expected a number or null, found {value!r}")
        return float(value)

    def table(self) -> Table:
        content = self.content
        sources = {k: self.text(f"sources.{k}", v) for k, v in self.mapping("sources", content.get("sources")).items()}
        for key, source in sources.items():
            if RECALLED.search(source):
                raise self.fail(f"sources.{key}", f"'{source}' is no place where a number was read")
        seeds = self.keys("seeds", content.get("seeds"), SCALES)
        columns = tuple(
            self.column(name, item) for name, item in self.mapping("columns", content.get("columns")).items()
        )
        rows = self.mapping("rows", content.get("rows"))
        if not columns or not rows:
            raise self.fail("columns and rows", "a table has at least one of each")
        return Table(
            name=self.path.stem,
            path=self.path,
            title=self.text("title", content.get("title")),
            citation=self.text("citation", content.get("citation")),
            sources=sources,
            columns=columns,
            rows=tuple(self.row(name, item, columns, sources) for name, item in rows.items()),
            seeds={s: self.seeds(f"seeds.{s}", seeds.get(s, [0])) for s in SCALES},
            base=self.cells("base", content.get("base")),
            note=" ".join(str(content.get("note") or "").split()),
        )

    def seeds(self, where: str, value: Any) -> tuple[int, ...]:
        whole = isinstance(value, list) and all(isinstance(s, int) and not isinstance(s, bool) for s in value)
        if not whole or not value or len(set(value)) < len(value):
            raise self.fail(where, f"expected different whole numbers, found {value!r}")
        return tuple(value)

    def cells(self, where: str, value: Any) -> dict[str, Cell]:
        """By scale."""
        cells: dict[str, Cell] = {
            scale: self.mapping(f"{where}.{scale}", c) for scale, c in self.keys(where, value, SCALES).items()
        }
        for scale, cell in cells.items():
            for key in cell:
                check_key(f"{self.path}: {where}.{scale}", key)
                if key in ("seed", "scale"):
                    raise self.fail(f"{where}.{scale}.{key}", "the table sets it itself: see `seeds`")
        return cells

    def column(self, name: str, value: Any) -> Column:
        where = f"columns.{name}"
        item = self.keys(where, value, COLUMN_KEYS)
        if item.get("better") not in BETTER:
            raise self.fail(f"{where}.better", f"expected one of {', '.join(BETTER)}, found {item.get('better')!r}")
        metric, note = item.get("metric"), " ".join(str(item.get("note") or "").split())
        protocol = item.get("protocol", self.content.get("protocol"))
        if metric is None and not note:
            raise self.fail(where, "neither a metric nor a note that says why it is not measured")
        if metric is not None and not protocol:
            raise self.fail(where, "a metric needs a protocol, here or of the whole table")
        return Column(
            name=name,
            better=item["better"],
            unit=str(item.get("unit") or ""),
            metric=None if metric is None else self.text(f"{where}.metric", metric),
            protocol=None if metric is None else self.text(f"{where}.protocol", protocol),
            base=self.cells(f"{where}.base", item.get("base")),
            note=note,
        )

    def row(self, name: str, value: Any, columns: tuple[Column, ...], sources: Mapping[str, str]) -> Row:
        where = f"rows.{name}"
        item = self.keys(where, value, ROW_KEYS)
        published = self.keys(f"{where}.published", item.get("published"), tuple(c.name for c in columns))
        if not isinstance(item.get("reference", False), bool):
            raise self.fail(f"{where}.reference", f"expected true or false, found {item['reference']!r}")
        read_in = self.read_in(where, item.get("read_in"), sources)
        return Row(
            name=name,
            published={c: self.published(f"{where}.published.{c}", v, read_in, sources) for c, v in published.items()},
            reference=item.get("reference", False),
            runs=self.cells(f"{where}.runs", item.get("runs")),
            seeds=self.seeds(f"{where}.seeds", item["seeds"]) if "seeds" in item else (),
            note=" ".join(str(item.get("note") or "").split()),
        )

    def published(self, where: str, value: Any, read_in: tuple[str, ...], sources: Mapping[str, str]) -> Published:
        """A number alone was read where its row says."""
        item = self.keys(where, value if isinstance(value, dict) else {"value": value}, VALUE_KEYS)
        number, note = self.number(f"{where}.value", item.get("value")), " ".join(str(item.get("note") or "").split())
        named = self.read_in(where, item["read_in"], sources) if "read_in" in item else read_in
        if number is None and not note:
            raise self.fail(where, "neither a value nor a note that says why there is none")
        if number is not None and not named:
            raise self.fail(where, f"{number:g} has no read_in: name the source it was read in, or leave it empty")
        error = self.number(f"{where}.error", item.get("error"))
        return Published(number, error, () if number is None else named, note)

    def read_in(self, where: str, value: Any, sources: Mapping[str, str]) -> tuple[str, ...]:
        named = tuple(value) if isinstance(value, list) else () if value is None else (value,)
        for source in named:
            if source not in sources:
                raise self.fail(f"{where}.read_in", f"no source '{source}'{nearest(str(source), sources)}")
        return named
