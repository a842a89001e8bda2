"""A table with what reproduces it as flat lines, for CSV and JSON: full numbers, one line a number."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.sweep.plan import shown
from experiments.table.reproduced import Key, Reproduced
from experiments.table.schema import Column, Published, Row, Table

NOTHING = Published(None, note="not in the table")


def lines(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> Iterator[dict[str, Any]]:
    """One line for each row, column and scale; one with the published number where no scale reproduces it."""
    for row in table.rows:
        for column in table.columns:
            at: list[str | None] = [scale for scale in scales if (row.name, column.name, scale) in cells]
            if not at and column.name not in row.published:
                continue
            for scale in at or [None]:
                cell = cells[row.name, column.name, scale] if scale else Reproduced()
                yield {**_published(table, row, column), **_reproduced(column, scale, cell)}


def _published(table: Table, row: Row, column: Column) -> dict[str, Any]:
    said = row.published.get(column.name, NOTHING)
    return {
        "table": table.name,
        "row": row.name,
        "reference": row.reference,
        "column": column.name,
        "better": column.better,
        "published": said.value,
        "published_error": said.error,
        "read_in": "; ".join(table.sources[source] for source in said.read_in),
        "published_note": said.note,
    }


def _reproduced(column: Column, scale: str | None, cell: Reproduced) -> dict[str, Any]:
    first = cell.numbers[0] if cell.numbers else None
    return {
        "scale": scale,
        "value": cell.value,
        "error": cell.error,
        "error_of": cell.kind,
        "n_seeds": cell.n,
        "seeds_wanted": cell.wanted,
        "metric": column.metric,
        "protocol": column.protocol,
        "protocol_label": first.score.protocol.get("label") if first else None,
        "protocol_hash": first.score.hash if first else None,
        "number_hash": first.number.hash if first else None,
        "runs": " ".join(measured.run.folder.name for measured in cell.numbers),
        "missing": " && ".join(
            shown(words)
            for run, state in cell.missing
            for words in ([] if state.trained else [run.fit()]) + [run.test(test) for test in run.tests]
        ),
        "note": "; ".join(filter(None, (cell.note, column.note))),
    }


def as_csv(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> str:
    """With a header."""
    rows = list(lines(table, scales, cells))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> str:
    """The lines as objects, below what the table is."""
    head = {"table": table.name, "title": table.title, "citation": table.citation, "note": table.note}
    return json.dumps({**head, "lines": list(lines(table, scales, cells))}, indent=1, allow_nan=False) + "\n"
