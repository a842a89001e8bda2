"""The tables as CSV and JSON, with full numbers, hashes and fingerprints."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from experiments.board import Board, Column, Group, Row
from experiments.recorded import Score
from experiments.runs import Run
from experiments.wording import MISSING


def as_csv(board: Board) -> str:
    """One line for every number of every run in the tables; a number that was not measured has a line saying so."""
    names = list(dict.fromkeys(name for group in board.groups for name in group.protocol))
    lines = [
        {**_protocol(group, names), **_about(row, run, score), **_number(row, run, column)}
        for group in board.groups
        for row in [*group.rows, *group.references]
        for run, score in row.runs
        for column in group.columns
    ]
    if not lines:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _protocol(group: Group, names: list[str]) -> dict[str, Any]:
    return {"protocol": group.hash, **{f"protocol_{name}": group.protocol.get(name) for name in names}}


def _about(row: Row, run: Run, score: Score) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "run": run.name,
        "folder": str(run.folder),
        "identity": run.identity,
        "cell": run.cell,
        "method": run.method,
        "seed": run.seed,
        "reference": run.reference,
        "tags": " ".join(run.tags),
        "code_version": run.code_version,
        "scored_by": score.code_version,
        "time": score.time,
        "step": score.step,
        "max_steps": score.max_steps,
        "weights": score.weights,
    }


def _number(row: Row, run: Run, column: Column) -> dict[str, Any]:
    entry = row.entries.get(column)
    number = next((n for seed, n in entry.numbers if seed == run.seed), None) if entry else None
    return {
        "metric": column.metric,
        "number": column.hash,
        "status": MISSING if number is None else "none" if number.value is None else "value",
        "value": number.value if number else None,
        "standard_error": number.standard_error if number else None,
        "n_real": number.n_real if number else None,
        "n_fake": number.n_fake if number else None,
        "higher_is_better": column.higher_is_better,
        "fingerprint": column.fingerprint,
        "key": number.key if number else None,
        "note": number.note if number else None,
    }


def as_json(board: Board) -> str:
    """The tables with every run's own numbers in each cell."""
    value = {
        "groups": [_group_json(group) for group in board.groups],
        "absent": [{**_run_json(run), "why": why} for run, why in board.absent],
        "problems": {str(run.folder): list(run.problems) for run in board.runs if run.problems},
    }
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "hash": group.hash,
        "protocol": dict(group.protocol),
        "labels": group.labels,
        "sorted_by": group.sorted_by.hash if group.sorted_by else None,
        "columns": [asdict(column) for column in group.columns],
        "rows": [_row_json(group, row) for row in [*group.rows, *group.references]],
    }


def _row_json(group: Group, row: Row) -> dict[str, Any]:
    run, score = row.first
    cells = []
    for column in group.columns:
        entry = row.entries.get(column)
        about = {"metric": column.metric, "number": column.hash, "best": group.is_best(row, column)}
        if entry is None:
            cells.append({**about, "status": MISSING})
            continue
        status = "none" if entry.value is None else "value"
        own = [{"seed": seed, **asdict(number)} for seed, number in entry.numbers]
        cells.append({**about, "status": status, **asdict(entry), "numbers": own})
    return {
        **{"rank": row.rank, "label": row.label, "reference": run.reference, "cell": run.cell, "notes": row.notes},
        **{"step": score.step, "max_steps": score.max_steps, "weights": score.weights},
        "runs": [{**_run_json(r), "scored_by": s.code_version, "time": s.time} for r, s in row.runs],
        "cells": cells,
    }


def _run_json(run: Run) -> dict[str, Any]:
    names = ("name", "state", "identity", "method", "class_path", "data", "seed", "code_version", "dirty", "tags")
    return {"folder": str(run.folder), **{name: getattr(run, name) for name in names}}
