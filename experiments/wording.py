"""How protocols and numbers are written for readers, in one place: the leaderboard and the report say the same."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from experiments.board import Board, Entry, Group, Row

MISSING = "missing"
UNCERTAINTY = {
    "se": "± se: standard error of one run's number, from its clips.",
    "sd": "± sd: standard deviation over n training seeds.",
}
# The keys that the functions below put into words; any other is shown as it stands.
WORDED = (
    *("label", "data", "split", "height", "width", "frames", "stride", "n_real", "n_fake", "seed"),
    *("samples", "split_digest", "resize", "channels", "context", "score_context"),
)


def subject(protocol: Mapping[str, Any]) -> str:
    """Data set and split."""
    get = _getter(protocol)
    return f"{get('data')}, {get('split')} split"


def setting(protocol: Mapping[str, Any]) -> str:
    """What everyone compares first: `64×64, 16 frames, ...`."""
    get = _getter(protocol)
    stride = "" if protocol.get("stride") == 1 else f", every {_ordinal(protocol.get('stride'))} frame of the video"
    samples = protocol.get("samples", 1)
    several = "" if samples == 1 else f", {samples} samples of each"
    return (
        f"{get('height')}×{get('width')}, {get('frames')} frames{stride}, "
        f"{get('n_real')} real and {get('n_fake')} generated clips{several}, evaluation seed {get('seed')}"
    )


def conditions(protocol: Mapping[str, Any]) -> str:
    """The rest of what is hashed."""
    get = _getter(protocol)
    context = protocol.get("context")
    scored = "scored" if protocol.get("score_context") else "not scored"
    parts = [
        f"split digest {get('split_digest')[:12]}",
        f"resize {get('resize')}",
        plural(protocol.get("channels", "?"), "channel"),
        f"{plural(context, 'context frame')}, {scored}" if context else "no context frames",
    ]
    return "; ".join([*parts, *(f"{key} {value}" for key, value in protocol.items() if key not in WORDED)])


def _getter(protocol: Mapping[str, Any]) -> Any:
    def get(key: str) -> str:
        value = protocol.get(key)
        return "?" if value in (None, "") else str(value)

    return get


def _ordinal(number: Any) -> str:
    if not isinstance(number, int):
        return "?th"
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def figures(value: float, spread: float | None) -> tuple[str, str]:
    """A value and its uncertainty as text: two digits of the uncertainty, or four of the value where there is none.

    >>> figures(3.14159, 0.0123)
    ('3.142', '0.012')
    """
    if spread and abs(spread) > 1e-9 * abs(value):  # below that it is rounding, such as the sd of three equal numbers
        places = 1 - math.floor(math.log10(abs(spread)))
    elif value:
        places = 3 - math.floor(math.log10(abs(value)))
    else:
        places = 0
    if places > 8:
        return f"{value:.4g}", "" if spread is None else f"{spread:.2g}"
    places = max(places, 0)
    return f"{value:.{places}f}", "" if spread is None else f"{spread:.{places}f}"


def printable(text: str) -> str:
    """One line without control characters, which a terminal would obey, or lone surrogates, which no file can hold."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text).split())


def plural(count: Any, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def counted(board: Board) -> str:
    """`5 runs: 2 in the tables, 1 running, ...`."""
    shown = len(board.runs) - len(board.absent)
    states = Counter("finished, not scored" if run.complete else run.state for run, _ in board.absent)
    parts = [f"{shown} in the tables", *(f"{count} {state}" for state, count in sorted(states.items()))]
    return f"{plural(len(board.runs), 'run')}: {'; '.join(parts)}"


def entry_text(entry: Entry | None) -> str:
    """A cell: the number with its uncertainty, `missing` where nothing was measured, or why there is no number."""
    if entry is None:
        return MISSING
    if entry.value is None:
        return entry.notes[0].split(":")[0]
    value, spread = figures(entry.value, entry.spread)
    if entry.kind == "sd":
        return f"{value} ± {spread} sd, n={entry.n}"
    return f"{value} ± {spread} se" if entry.kind else value


def footed(entry: Entry) -> tuple[str, ...]:
    """Notes that the cell itself does not say in full."""
    return tuple(note for note in entry.notes if note != entry_text(entry))


def seeds_text(row: Row) -> str:
    """`0`, or `0, 1, 2`."""
    return ", ".join("?" if seed is None else str(seed) for seed in sorted(row.seeds, key=lambda s: (s is None, s)))


def step_text(step: int | None, max_steps: int | None) -> str:
    """The step alone where it is the last one."""
    if step is None:
        return "?"
    return str(step) if max_steps in (None, step) else f"{step}/{max_steps}"


def trained_text(row: Row) -> str:
    """Steps trained; a dash where nothing was trained."""
    _, score = row.first
    return "–" if score.weights == "none" else step_text(score.step, score.max_steps)


def uncertainty(group: Group) -> list[str]:
    """What the signs behind ± in this table mean."""
    kinds = {entry.kind for row in [*group.rows, *group.references] for entry in row.entries.values()}
    return [text for kind, text in UNCERTAINTY.items() if kind in kinds]


def duration(seconds: Any) -> str:
    """`2 h 05 min`; empty where it is not a number."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return ""
    hours, minutes = divmod(round(seconds / 60), 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
