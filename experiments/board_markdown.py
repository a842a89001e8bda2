"""The tables as Markdown, aligned so that they read in a terminal too."""

from experiments.board import Board, Column, Group, Row
from experiments.wording import (
    conditions,
    counted,
    entry_text,
    footed,
    printable,
    seeds_text,
    setting,
    subject,
    trained_text,
    uncertainty,
)

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def markdown(board: Board) -> str:
    """Tables to read in a terminal or to paste."""
    parts = [_section(group) for group in board.groups]
    if not board.groups:
        parts.append("No finished run has been scored: `reelbench test RUN` measures one.\n")
    parts.append(_others(board))
    return "# Leaderboard\n\n" + "\n".join(parts)


def _section(group: Group) -> str:
    footnotes: dict[str, int] = {}
    signs = [*(["**Bold** is best."] if group.best else []), *uncertainty(group)]
    order = "Ranked" if group.sorted_by and group.sorted_by.arrow else "Sorted"
    lines = [
        f"## {_escape(subject(group.protocol))}: {_escape('/'.join(group.labels))} `{group.hash}`",
        "",
        f"{_escape(setting(group.protocol))}; {_escape(conditions(group.protocol))}."
        + (f" {order} by {_title(group.sorted_by)}." if group.sorted_by else ""),
        "",
        *_table(group, footnotes),
        "",
        *([" ".join(signs), ""] if signs else []),
        *(f"- {_title(column)}: {_escape(column.fingerprint)}" for column in group.columns),
    ]
    if footnotes:
        lines += ["", *(f"{_mark(number)} {_escape(note)}  " for note, number in footnotes.items())]
    return "\n".join(lines) + "\n"


def _table(group: Group, footnotes: dict[str, int]) -> list[str]:
    head = ["#", "run", "seed", "step", "weights", *(_title(column) for column in group.columns), "code"]
    body = [_cells(group, row, footnotes) for row in group.rows]
    if group.references:
        body.append(["", "*reference, not ranked*", *[""] * (len(head) - 2)])
        body += [_cells(group, row, footnotes) for row in group.references]
    widths = [max(3, *(len(line[i]) for line in [head, *body])) for i in range(len(head))]
    right = [i not in (1, 4, len(head) - 1) for i in range(len(head))]

    def joined(cells: list[str]) -> str:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (w - 1) + ":") if r else "-" * w for w, r in zip(widths, right, strict=True)]
    return [joined(head), f"| {' | '.join(rule)} |", *(joined(cells) for cells in body)]


def _cells(group: Group, row: Row, footnotes: dict[str, int]) -> list[str]:
    def marked(notes: tuple[str, ...]) -> str:
        return ",".join(_mark(footnotes.setdefault(note, len(footnotes) + 1)) for note in notes)

    _, score = row.first
    values = []
    for column in group.columns:
        entry = row.entries.get(column)
        text = _escape(entry_text(entry))
        text = f"**{text}**" if group.is_best(row, column) else text
        values.append(text + (marked(footed(entry)) if entry else ""))
    return [
        "" if row.rank is None else str(row.rank),
        _escape(row.label) + marked(row.notes),
        seeds_text(row),
        trained_text(row),
        _escape(score.weights),
        *values,
        _escape(", ".join(row.code_versions)),
    ]


def _title(column: Column) -> str:
    return f"{_escape(column.metric)} {column.arrow}".rstrip() + f" `{column.hash}`"


def _mark(number: int) -> str:
    return str(number).translate(SUPERSCRIPTS)


def _others(board: Board) -> str:
    lines = ["## Not in the tables" if board.absent else "## Runs", "", f"{counted(board)}.", ""]
    lines += [f"- {_escape('; '.join([run.folder.name + ': ' + why, *run.problems]))}" for run, why in board.absent]
    absent = {run.folder for run, _ in board.absent}
    damaged = [run for run in board.runs if run.problems and run.folder not in absent]
    lines += [f"- {_escape(run.folder.name + ' is in the tables, but ' + '; '.join(run.problems))}" for run in damaged]
    return "\n".join(lines).rstrip("\n") + "\n"


def _escape(text: str) -> str:
    text = printable(text)
    for mark in "\\|*`<":
        text = text.replace(mark, f"\\{mark}")
    return text
