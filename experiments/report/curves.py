"""Loss and metric curves from metrics.csv, thinned so that a long run stays small on the page."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runs import Run
from experiments.wording import plural

POINTS = 240
METRIC = re.compile(r"(?P<split>val|test)/(?P<metric>.+)/(?P<label>.+)-(?P<hash>[0-9a-f]{6})")


def read_curves(path: Path, problems: list[str]) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every name in a metrics.csv; a line that a kill cut short is left out and counted.

    Args:
        problems: takes a sentence for what was left out.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    bad = 0
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = csv.reader(line.replace("\0", "") for line in file)  # zeros are what a lost disk block leaves
            next(rows, None)
            for row in rows:
                try:
                    step, name, value = row
                    curves.setdefault(name, []).append((int(step), float(value)))
                except ValueError:
                    bad += 1
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error) as error:
        problems.append(f"{path.name} cannot be read: {error}")
    if bad:
        problems.append(f"{path.name}: {plural(bad, 'unreadable line')} left out of the curves")
    return curves


def thin(steps: np.ndarray, values: np.ndarray, points: int = POINTS) -> dict[str, list[float]]:
    """A curve as it is, or where it is longer than `points` the mean, lowest and highest value of each stretch.

    Args:
        steps, values: N, finite, in order.

    Returns:
        `x` and `y`; for a long curve also `low` and `high`, and `x` is where a stretch ends.
    """
    if len(steps) <= points:
        return {"x": steps.tolist(), "y": _short(values)}
    starts = np.linspace(0, len(steps), points, endpoint=False).astype(np.int64)
    ends = np.append(starts[1:], len(steps))
    return {
        "x": steps[ends - 1].tolist(),
        "y": _short(np.add.reduceat(values, starts) / (ends - starts)),
        "low": _short(np.minimum.reduceat(values, starts)),
        "high": _short(np.maximum.reduceat(values, starts)),
    }


def _short(values: np.ndarray) -> list[float]:
    """Five digits: more than a chart shows."""
    return [float(f"{value:.5g}") for value in values]


def charts(runs: Sequence[tuple[Run, Mapping[str, Any]]], problems: Mapping[Path, list[str]]) -> list[dict[str, Any]]:
    """One chart a metric, over all runs; one chart a loss and method, since losses of two methods do not compare.

    Args:
        runs: each with how its line looks: `label`, `color`, `dash`.
        problems: by run folder; takes sentences for the page.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run, look in runs:
        for name, rows in read_curves(run.folder / "metrics.csv", problems[run.folder]).items():
            metric = METRIC.fullmatch(name)
            if metric:
                key: tuple[Any, ...] = (0, metric["split"], metric["metric"], metric["hash"])
                title, of = f"{metric['split']}/{metric['metric']}", f"{metric['label']}-{metric['hash']}"
            else:
                key, title, of = (1, run.method, name), name, run.method
            finite = np.array([row for row in rows if math.isfinite(row[1])], dtype=np.float64).reshape(-1, 2)
            if len(finite) < len(rows):
                count = len(rows) - len(finite)
                problems[run.folder].append(f"{name}: {plural(count, 'value')} not finite, left out of the curve")
            if not len(finite):
                continue
            line = {**look, **thin(finite[:, 0].astype(np.int64), finite[:, 1])}
            found.setdefault(key, {"title": title, "of": of, "axis": "step", "lines": []})["lines"].append(line)
    return [found[key] for key in sorted(found)]
