"""Entries for people and for programs."""

import json
from collections.abc import Sequence
from typing import Any


def as_json(entries: Sequence[dict[str, Any]]) -> str:
    """`{"results": [...]}`; NaN and infinity are refused: JSON has none."""
    return json.dumps({"results": list(entries)}, indent=1, allow_nan=False)


def as_table(entries: Sequence[dict[str, Any]]) -> str:
    """A line a metric, then the conditions and notes that they share."""
    head = ("metric", "value", "± se", "real", "generated", "")
    rows = [head, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head) - 1)]
    lines = []
    for row in rows:
        cells = [
            f"{row[0]:{widths[0]}}",
            *(f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:], strict=True)),
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    for protocol in dict.fromkeys(_protocol(entry) for entry in entries):
        lines.append(protocol)
    for extractor in dict.fromkeys(e["extractor"] for e in entries if e["extractor"]):
        lines.append(f"extractor  {extractor}")
    lines += [f"note       {note}" for note in dict.fromkeys(note for entry in entries for note in entry["notes"])]
    return "\n".join(lines)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    if entry["value"] is None:
        return entry["metric"], "none", "", "", "", entry["reason"]
    error = "" if entry["stderr"] is None else f"{entry['stderr']:.2g}"
    return entry["metric"], f"{entry['value']:.6g}", error, str(entry["n_real"]), str(entry["n_fake"]), entry["note"]


def _protocol(entry: dict[str, Any]) -> str:
    p = entry["protocol"]
    scored = "" if p["score_context"] else f", the first {p['context']} not scored"
    rate = "" if p["fps"] is None else f", {p['fps']:g} fps"
    return (
        f"protocol   {p['label']}-{p['hash']}: {p['frames']} frames{scored}, stride {p['stride']}{rate}, windows: "
        f"{p['windows']}, {entry['resize']}; {p['n_real']} real, {p['n_fake']} generated clips"
    )
