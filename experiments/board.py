"""Runs grouped into tables. Two numbers meet in one column only if protocol, metric and settings are equal."""

import difflib
import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

from datamodules.errors import BenchError
from experiments.recorded import Number, Score
from experiments.runs import Run


@dataclass(frozen=True)
class Column:
    """A metric with all of its settings: equal columns, comparable numbers."""

    metric: str
    hash: str
    fingerprint: str
    higher_is_better: bool | None

    @property
    def arrow(self) -> str:
        """Where better lies; empty for a descriptive number."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    def better(self, value: float, other: float) -> bool:
        """Whether `value` beats `other`; never for a descriptive number."""
        if self.higher_is_better is None or math.isclose(value, other, rel_tol=1e-9):
            return False
        return value > other if self.higher_is_better else value < other


@dataclass(frozen=True)
class Entry:
    """A cell of a table.

    Attributes:
        value: one run's number, or the mean over seeds; None where no run has one, and `notes` say why.
        spread: of `value`; `kind` says whether it is one run's standard error (`se`) or the sd over `n` seeds (`sd`).
        notes: caveats to show beside it.
    """

    value: float | None
    spread: float | None
    kind: str
    n: int
    notes: tuple[str, ...]
    numbers: tuple[tuple[int | None, Number], ...]


@dataclass(eq=False)
class Row:
    """Runs that differ by seed alone, scored at the same step with the same weights."""

    runs: list[tuple[Run, Score]]
    label: str = ""
    entries: dict[Column, Entry] = field(default_factory=dict)
    rank: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> tuple[Run, Score]:
        """What all of its runs share can be read here."""
        return self.runs[0]

    @property
    def seeds(self) -> list[int | None]:
        """Of its runs."""
        return [run.seed for run, _ in self.runs]

    @property
    def code_versions(self) -> list[str]:
        """Of the code that trained them."""
        return sorted({run.code_version for run, _ in self.runs})

    def value(self, column: Column | None) -> float | None:
        """The number in `column`, None where there is none."""
        entry = self.entries.get(column) if column else None
        return entry.value if entry else None


@dataclass
class Group:
    """One protocol's table: ranked rows, then reference rows.

    Attributes:
        sorted_by: the column that ranks; None where no run has a number.
        best: the best values over the ranked rows, of every column that has at least two to compare.
    """

    hash: str
    protocol: Mapping[str, Any]
    labels: list[str]
    columns: list[Column]
    rows: list[Row]
    references: list[Row]
    sorted_by: Column | None = None
    best: dict[Column, float] = field(default_factory=dict)

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether `row` holds the best value, alone or tied."""
        value = row.value(column)
        if value is None or column not in self.best or row in self.references:
            return False
        return math.isclose(value, self.best[column], rel_tol=1e-9)


@dataclass
class Board:
    """All tables, and every run that is in none of them with the reason."""

    groups: list[Group]
    absent: list[tuple[Run, str]]
    runs: list[Run]


def build(runs: Sequence[Run], split: str | None = None, tags: Iterable[str] = (), sort: str | None = None) -> Board:
    """The tables of all finished runs.

    Args:
        split: only numbers of this split.
        tags: only runs that carry all of these.
        sort: metric name or hash to rank by; by default a table's first column that has a direction.

    Raises:
        BenchError: no run is left, or `sort` names no column.
    """
    tags = list(tags)
    chosen = [run for run in runs if set(tags) <= set(run.tags)]
    if not chosen:
        known = sorted({tag for run in runs for tag in run.tags})
        raise BenchError(f"no run carries the tag {' and '.join(tags)}; tags found: {', '.join(known) or 'none'}")
    gathered: dict[str, list[tuple[Run, Score]]] = {}
    absent = []
    for run in chosen:
        shown = [score for score in run.scores if split in (None, score.protocol.get("split"))]
        if not run.complete or not shown:
            absent.append((run, _why_absent(run, split)))
            continue
        for score in shown:
            gathered.setdefault(_conditions(score), []).append((run, score))
    groups = [_group(scored) for scored in gathered.values()]
    groups.sort(key=lambda g: (str(g.protocol.get("data")), str(g.protocol.get("split")), g.labels, g.hash))
    if sort and groups:
        _check_sort(groups, sort)
    for group in groups:
        _rank(group, sort)
    return Board(groups, absent, chosen)


def _why_absent(run: Run, split: str | None) -> str:
    if run.complete:
        return f"not scored{f' on the {split} split' if split else ''}"
    at = "" if run.step is None else f" at step {run.step} of {run.max_steps}"
    reason = run.status.get("reason")
    if run.state == "lost":
        reason = f"no heartbeat since {run.status.get('heartbeat')}"
    state = "state unknown" if run.state == "unknown" else run.state
    return f"{state}{at}{f': {shorten(str(reason), 200)}' if reason else ''}"


def _conditions(score: Score) -> str:
    """Hash and conditions: equal hashes alone do not merge tables, since records can be edited or collide."""
    hashed = {key: value for key, value in score.protocol.items() if key != "label"}
    return score.hash + json.dumps(hashed, sort_keys=True)


def _group(scored: list[tuple[Run, Score]]) -> Group:
    rows = _rows(scored)
    columns = list(dict.fromkeys(column for row in rows for column in row.entries))
    metrics = list(dict.fromkeys(column.metric for column in columns))
    columns.sort(key=lambda column: metrics.index(column.metric))  # settings of one metric stand side by side
    labels = sorted({str(score.protocol.get("label", "")) for _, score in scored})
    score = scored[0][1]
    ranked = [row for row in rows if not row.first[0].reference]
    references = [row for row in rows if row.first[0].reference]
    return Group(score.hash, score.protocol, labels, columns, ranked, references)


def _rows(scored: list[tuple[Run, Score]]) -> list[Row]:
    cells: dict[Any, list[Row]] = {}
    for run, score in scored:
        key = (run.cell, run.reference, score.weights, score.step, score.max_steps)
        same = cells.setdefault(key, [])
        # A seed that is there twice, such as a run and its copy in the zoo, must not count as two.
        row = next((row for row in same if run.seed not in row.seeds), None)
        if row is None:
            row = Row([])
            same.append(row)
        row.runs.append((run, score))
    rows = [row for same in cells.values() for row in same]
    names = Counter(row.first[0].name for row in rows)
    for row in rows:
        run, _ = row.first
        row.label = run.name if names[run.name] == 1 else f"{run.name} ({(run.identity or run.cell)[:6]})"
        row.notes = _row_notes(row)
        gathered: dict[Column, list[tuple[int | None, Number]]] = {}
        for run, score in sorted(row.runs, key=lambda pair: (pair[0].seed is None, pair[0].seed)):
            for number in score.numbers.values():
                column = Column(number.metric, number.hash, number.fingerprint, number.higher_is_better)
                gathered.setdefault(column, []).append((run.seed, number))
        row.entries = {column: _entry(numbers, len(row.runs)) for column, numbers in gathered.items()}
    return rows


def _row_notes(row: Row) -> tuple[str, ...]:
    notes = []
    for run, score in row.runs:
        if run.dirty:
            notes.append(f"trained with changes that are not in commit {run.code_version}")
        if score.code_version and score.code_version != run.code_version:
            notes.append(f"scored by code {score.code_version}")
    return tuple(dict.fromkeys(notes))


def _entry(numbers: list[tuple[int | None, Number]], runs: int) -> Entry:
    values = [number.value for _, number in numbers if number.value is not None]
    notes = list(dict.fromkeys(number.note for _, number in numbers if number.note))
    if values and len(values) < runs:
        notes.append(f"{len(values)} of {runs} seeds have this number")
    if len(values) > 1:
        value, spread, kind = statistics.fmean(values), statistics.stdev(values), "sd"
        return Entry(value, spread, kind, len(values), tuple(notes), tuple(numbers))
    error = next((number.standard_error for _, number in numbers if number.value is not None), None)
    kind = "" if error is None else "se"
    return Entry(values[0] if values else None, error, kind, len(values), tuple(notes), tuple(numbers))


def _names(column: Column) -> tuple[str, ...]:
    return column.metric, column.hash, f"{column.metric}-{column.hash}"


def _check_sort(groups: list[Group], sort: str) -> None:
    columns = [column for group in groups for column in group.columns]
    if not any(sort in _names(column) for column in columns):
        known = sorted({column.metric for column in columns})
        near = difflib.get_close_matches(sort, known, 1, cutoff=0.5)
        hint = f", did you mean '{near[0]}'?" if near else ""
        raise BenchError(
            f"--sort {sort}: no such metric in these tables{hint} (they hold {', '.join(known) or 'none'})"
        )


def _rank(group: Group, sort: str | None) -> None:
    """Orders the rows and gives equal values equal ranks."""
    wanted = [column for column in group.columns if sort in _names(column)]
    ranked = [column for column in group.columns if column.higher_is_better is not None]
    group.sorted_by = column = next(iter([*wanted, *ranked, *group.columns]), None)
    sign = 1 if column and column.higher_is_better is False else -1
    for rows in (group.rows, group.references):
        rows.sort(key=lambda r: (r.value(column) is None, sign * (r.value(column) or 0.0), r.label))
    if column and column.higher_is_better is not None:
        valued = [(row, value) for row in group.rows if (value := row.value(column)) is not None]
        for row, value in valued:
            row.rank = 1 + sum(column.better(other, value) for _, other in valued)
    for column in ranked:
        values = [value for row in group.rows if (value := row.value(column)) is not None]
        if len(values) > 1:
            group.best[column] = max(values) if column.higher_is_better else min(values)
