"""The numbers in a results.json, checked one by one: a bad one is named and left out, the others stand."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metrics.curves import Curve

HASH = re.compile(r"[0-9a-f]{6}")


@dataclass(frozen=True)
class Number:
    """One metric's value of one run, as recorded.

    Attributes:
        value: None where `note` says why there is none.
        key: the summary key; `hash` is its last six digits and covers conditions and metric settings.
        higher_is_better: None for a descriptive number, which is not ranked.
        curve: the number frame by frame, of metrics that score frames.
    """

    metric: str
    value: float | None
    standard_error: float | None
    n_real: int | None
    n_fake: int | None
    fingerprint: str
    note: str
    key: str
    hash: str
    higher_is_better: bool | None
    curve: Curve | None = None


@dataclass(frozen=True)
class Score:
    """What a run scored under one protocol.

    Attributes:
        hash: the protocol's six digits.
        protocol: every field of `metrics.protocol.Protocol`.
        step: of the weights that were scored.
        weights: `raw`, `ema` or `none`.
        code_version: of the code that scored.
        asked: digests of the evaluations whose numbers these are, see `experiments.results.asked_digest`.
    """

    hash: str
    protocol: Mapping[str, Any]
    step: int | None
    max_steps: int | None
    weights: str
    time: str
    code_version: str
    numbers: Mapping[str, Number]
    asked: tuple[str, ...] = ()


def read_scores(results: Mapping[str, Any], problems: list[str]) -> Iterator[Score]:
    """One `Score` a protocol.

    Args:
        results: the content of a results.json.
        problems: takes a sentence for all that had to be left out.
    """
    entries = results.get("results", {})
    if not isinstance(entries, dict):
        problems.append(f"results.json: results must hold protocols, found {type(entries).__name__}")
        return
    for digest, raw in entries.items():
        where = f"results.json: protocol {digest}"
        if not HASH.fullmatch(digest) or not isinstance(raw, dict) or not isinstance(raw.get("protocol"), dict):
            problems.append(f"{where} is not a hash of 6 digits with its conditions; its numbers are left out")
            continue
        numbers = {}
        for metric, entry in as_dict(raw.get("values")).items():
            try:
                numbers[metric] = _number(metric, entry)
            except ValueError as error:
                problems.append(f"{where}: {metric} is left out: {error}")
        yield Score(
            hash=digest,
            protocol=raw["protocol"],
            step=as_int(raw.get("step")),
            max_steps=as_int(raw.get("max_steps")),
            weights=as_text(raw.get("weights")),
            time=as_text(raw.get("time")),
            code_version=as_text(raw.get("code_version")),
            numbers=numbers,
            asked=tuple(map(as_text, asked if isinstance(asked := raw.get("asked"), list) else ())),
        )


def _number(metric: str, entry: Any) -> Number:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {type(entry).__name__}")
    key, better = as_text(entry.get("key")), entry.get("higher_is_better")
    digest = key.rpartition("-")[2]
    if not HASH.fullmatch(digest):
        raise ValueError(f"its key {key!r} does not end in a hash of 6 digits")
    if better is not None and not isinstance(better, bool):
        raise ValueError(f"higher_is_better is {better!r}, expected true, false or null")
    value = _finite(entry, "value")
    return Number(
        metric=metric,
        value=value,
        standard_error=_finite(entry, "standard_error"),
        n_real=as_int(entry.get("n_real")),
        n_fake=as_int(entry.get("n_fake")),
        fingerprint=as_text(entry.get("fingerprint")),
        note=as_text(entry.get("note")) or ("no value, no reason recorded" if value is None else ""),
        key=key,
        hash=digest,
        higher_is_better=better,
        curve=_curve(entry.get("curve")),
    )


def _curve(entry: Any) -> Curve | None:
    """A curve of finite numbers, all of one length."""
    if entry is None:
        return None
    error = as_dict(entry).get("standard_error")
    columns = [as_dict(entry).get("frame"), as_dict(entry).get("mean"), *([] if error is None else [error])]
    lengths = {len(column) if isinstance(column, list) else 0 for column in columns}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError("curve must hold frame and mean, lists of one length")
    frames, *numbers = columns
    if any(as_int(frame) is None for frame in frames):
        raise ValueError("curve.frame must hold whole numbers")
    if not all(isinstance(n, int | float) and math.isfinite(n) for column in numbers for n in column):
        raise ValueError("curve must hold finite numbers")
    count = as_int(entry.get("count")) or 0
    return Curve(tuple(frames), tuple(numbers[0]), None if error is None else tuple(error), count)


def _finite(entry: Mapping[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is {value!r}, expected a number or null")
    if not math.isfinite(value):
        raise ValueError(f"{key} is {value}, which cannot be ranked")
    return float(value)


def as_int(value: Any) -> int | None:
    """`value` where it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_text(value: Any) -> str:
    """`value` as text, empty for None."""
    return "" if value is None else str(value)


def as_dict(value: Any) -> dict[str, Any]:
    """`value` where it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}
