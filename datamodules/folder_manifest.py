"""A data set as a table: which videos, which part of them, of what class and subject, for which split."""

import csv
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import BenchError

MANIFEST = "manifest.csv"  # what a folder's table is called
COLUMNS = {
    "path": "a video, strip, array or folder of frames, relative to the table's folder; required",
    "label": "its class, any text; classes are numbered in sorted order",
    "subject": "who or what is seen, any text; subjects are numbered in sorted order",
    "start": "first frame of the clip, counted from 0 as the file stores them; empty is 0",
    "end": "the frame behind its last one; empty is the file's end",
    "split": "train, val or test",
}
SPLITS = ("train", "val", "test")


class Row(NamedTuple):
    """One video; `label`, `subject` and `split` are None where the table has no such column."""

    path: Path
    name: str
    label: str | None
    subject: str | None
    start: int
    end: int | None
    split: str | None


def read_manifest(path: Path) -> list[Row]:
    """The rows of a CSV file with a header; columns in any order, see `COLUMNS`.

    A file may be named in several rows with other frames. A label, subject or split is given in every row or in none.

    Raises:
        BenchError: naming row (the line in the file) and column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            _check_columns(path, columns)
            reader.fieldnames = columns
            rows = [_row(path, columns, record, reader.line_num) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BenchError(f"manifest {path} cannot be read: {reason}") from error
    if not rows:
        raise BenchError(f"manifest {path} has no row below its header")
    _check_names(path, rows)
    return rows


def _check_columns(path: Path, columns: list[str]) -> None:
    known = ", ".join(COLUMNS)
    for name in columns:
        if name not in COLUMNS:
            raise BenchError(f"manifest {path}, first line: no column is called {name!r}; there are {known}")
        if columns.count(name) > 1:
            raise BenchError(f"manifest {path}, first line: two columns are called {name!r}")
    if "path" not in columns:
        raise BenchError(f"manifest {path}, first line: the column path is missing; there may be {known}")


def _row(path: Path, columns: list[str], record: dict[str, str], line: int) -> Row:
    def fail(column: str, wanted: str) -> BenchError:
        return BenchError(f"manifest {path}, row {line}, column {column}: found {record[column]!r}, expected {wanted}")

    if None in record or None in record.values():
        raise BenchError(f"manifest {path}, row {line}: expected {len(columns)} values, as in the first line")
    record = {name: value.strip() for name, value in record.items()}
    for column in ("path", "label", "subject", "split"):
        if column in record and not record[column]:
            raise fail(column, COLUMNS[column])
    if record.get("split", "train") not in SPLITS:
        raise fail("split", COLUMNS["split"])
    numbers: dict[str, int | None] = {}
    for column in ("start", "end"):
        text = record.get(column, "")
        if text and not text.isdecimal():
            raise fail(column, f"a whole number ({COLUMNS[column]})")
        numbers[column] = int(text) if text else None
    start, end = numbers["start"] or 0, numbers["end"]
    if end is not None and end <= start:
        raise fail("end", f"more than start, {start} (the frame behind the last one)")
    segment = f"[{start}:{'' if end is None else end}]" if start or end is not None else ""
    return Row(
        path=path.parent / record["path"],
        name=record["path"] + segment,
        label=record.get("label"),
        subject=record.get("subject"),
        start=start,
        end=end,
        split=record.get("split"),
    )


def _check_names(path: Path, rows: list[Row]) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        if row.name in seen:
            raise BenchError(
                f"manifest {path}, row {number}, column path: {row.name} is there twice with the same frames"
            )
        seen.add(row.name)
