"""Numbers frame by frame, as prediction papers plot them, from results.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.recorded import as_int
from experiments.runs import Run

BAND = 1.96  # standard errors


def frame_charts(runs: Sequence[tuple[Run, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One chart a metric and protocol, over all runs, with a confidence band of 95 %.

    The band is 1.96 standard errors over clips to each side, as SRVP's tables print. Where frames are given, `mark` is
    the end of the context, half a frame before the first predicted one.

    Args:
        runs: each with how its line looks: `label`, `color`, `dash`.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run, look in runs:
        for score in run.scores:
            for metric, number in score.numbers.items():
                curve = number.curve
                if curve is None:
                    continue
                split, label = str(score.protocol.get("split")), str(score.protocol.get("label"))
                line = {**look, "x": list(curve.frame), "y": _short(curve.mean)}
                if curve.standard_error is not None:
                    pairs = list(zip(curve.mean, curve.standard_error, strict=True))
                    line["low"] = _short(mean - BAND * error for mean, error in pairs)
                    line["high"] = _short(mean + BAND * error for mean, error in pairs)
                chart: dict[str, Any] = {
                    "title": f"{split}/{metric}",
                    "of": f"{label}-{number.hash}",
                    "axis": "frame",
                    "lines": [],
                }
                if context := as_int(score.protocol.get("context")):
                    chart["mark"] = context - 0.5
                found.setdefault((split, metric, number.hash), chart)["lines"].append(line)
    return [found[key] for key in sorted(found)]


def _short(values: Any) -> list[float]:
    """Five digits: more than a chart shows."""
    return [float(f"{value:.5g}") for value in values]
