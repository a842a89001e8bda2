"""What this bench's runs measured for the cells of a table. Numbers of two protocols never meet in one column."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from datamodules.errors import BenchError
from experiments.record import differences
from experiments.recorded import Number, Score
from experiments.runs import read_run
from experiments.sweep.cell import config_name, is_there
from experiments.sweep.plan import PlannedRun, Planner
from experiments.sweep.state import State, state_of
from experiments.table.schema import Column, Row, Table


@dataclass(frozen=True)
class Measured:
    """One run's number, and under what it was measured."""

    run: PlannedRun
    score: Score
    number: Number


@dataclass(frozen=True)
class Reproduced:
    """A cell of the table as runs reproduce it at one scale.

    Attributes:
        value: mean over seeds; None where no seed has been measured.
        error: standard error of the mean over seeds, or of the only run's number over its clips; `kind` says which.
        n, wanted: seeds that were measured, and that the table asks for.
        numbers: what the mean is of.
        missing: runs that are to be made, with what became of them so far.
        note: why nothing can be run, or what the number needs to be read with.
    """

    value: float | None = None
    error: float | None = None
    kind: Literal["seeds", "clips", ""] = ""
    n: int = 0
    wanted: int = 0
    numbers: tuple[Measured, ...] = ()
    missing: tuple[tuple[PlannedRun, State], ...] = ()
    note: str = ""


Key = tuple[str, str, str]  # names of row and column, and the scale


def reproduce(table: Table, scales: Sequence[str], runs: Path) -> dict[Key, Reproduced]:
    """Reads the runs of all cells; runs and writes nothing.

    Args:
        runs: folder of runs.

    Raises:
        BenchError: a run's config is refused, or the numbers of one column were measured under different conditions.
    """
    planner, found = Planner(runs, table.name), dict[Key, Reproduced]()
    for column in table.columns:
        for scale in scales:
            for row in table.rows:
                if (cell := _reproduce(table, planner, row, column, scale)) is not None:
                    found[row.name, column.name, scale] = cell
            _check_alike(table, column, scale, found)
    return found


def missing_runs(cells: Mapping[Key, Reproduced]) -> list[PlannedRun]:
    """What is to be run; a run that several columns ask for once, with the evaluations of all of them."""
    merged: dict[str, PlannedRun] = {}
    for cell in cells.values():
        for run, _ in cell.missing:
            known = merged.get(run.identity)
            tests = (
                run.tests
                if known is None
                else tuple({test.asked: test for test in (*known.tests, *run.tests)}.values())
            )
            merged[run.identity] = replace(known or run, tests=tests)
    return list(merged.values())


def _reproduce(table: Table, planner: Planner, row: Row, column: Column, scale: str) -> Reproduced | None:
    seeds, numbers, missing = table.seeds_of(row, scale), list[Measured](), list[tuple[PlannedRun, State]]()
    for seed in seeds:
        cell = table.cell(row, column, scale, seed)
        if cell is None or column.protocol is None or column.metric is None:
            return None
        for kind in ("method", "data"):
            if kind in cell and not is_there(kind, cell[kind]):
                return Reproduced(note=f"no config {config_name(kind, cell[kind])} yet")
        run = planner.run(cell, [column.protocol], f"{row.name}, {scale}, seed {seed}")
        state = state_of(run)
        measured = _measured(run, column.metric) if state.trained else None
        if measured is None:
            missing.append((run, state))
        else:
            numbers.append(measured)
    return summarise(numbers, len(seeds), missing)


def _measured(run: PlannedRun, metric: str) -> Measured | None:
    read = read_run(run.folder)
    for score in read.scores:
        if run.tests[0].asked in score.asked and score.step == read.step and metric in score.numbers:
            return Measured(run, score, score.numbers[metric])
    return None


def summarise(numbers: Sequence[Measured], wanted: int, missing: Sequence[tuple[PlannedRun, State]]) -> Reproduced:
    """The mean over seeds with its standard error, sd / sqrt(n)."""
    valued = [measured.number for measured in numbers if measured.number.value is not None]
    values = [number.value for number in valued if number.value is not None]
    notes = list(dict.fromkeys(measured.number.note for measured in numbers if measured.number.note))
    error: float | None = None
    kind: Literal["seeds", "clips", ""] = ""
    if len(values) > 1:
        error, kind = statistics.stdev(values) / math.sqrt(len(values)), "seeds"
    elif values and valued[0].standard_error is not None:
        error, kind = valued[0].standard_error, "clips"
    return Reproduced(
        value=statistics.fmean(values) if values else None,
        error=error,
        kind=kind,
        n=len(values),
        wanted=wanted,
        numbers=tuple(numbers),
        missing=tuple(missing),
        note="; ".join(notes),
    )


def _check_alike(table: Table, column: Column, scale: str, cells: Mapping[Key, Reproduced]) -> None:
    first: tuple[str, Measured] | None = None
    for (row, name, at), cell in cells.items():
        if (name, at) != (column.name, scale):
            continue
        for measured in cell.numbers:
            if first is None:
                first = (row, measured)
            elif measured.number.hash != first[1].number.hash:
                raise BenchError(_mixed(table, column, scale, first, (row, measured)))


def _mixed(table: Table, column: Column, scale: str, one: tuple[str, Measured], other: tuple[str, Measured]) -> str:
    def conditions(measured: Measured) -> dict[str, Any]:
        return {**measured.score.protocol, "metric": measured.number.fingerprint}

    changed = differences(conditions(one[1]), conditions(other[1]))
    return (
        f"{table.path}: column '{column.name}' at scale {scale} would mix numbers that do not compare: "
        f"'{one[0]}' ({one[1].run.folder.name}) has {one[1].number.hash} and '{other[0]}' "
        f"({other[1].run.folder.name}) has {other[1].number.hash}: {'; '.join(changed) or 'their records differ'}. "
        "Score them anew under one protocol, or mend the table"
    )
