"""A table as Markdown, aligned so that it reads in a terminal too: published beside reproduced."""

from collections.abc import Iterator, Mapping, Sequence

from experiments.record import identity
from experiments.sweep.command import told
from experiments.sweep.plan import PlannedRun, shown
from experiments.sweep.state import state_of
from experiments.table.reproduced import Key, Reproduced, missing_runs
from experiments.table.schema import Published, Row, Table
from experiments.wording import MISSING, conditions, figures, plural, setting, subject

ARROWS = {"lower": " ↓", "higher": " ↑", "none": ""}
CPU = "runs at cpu scale are small networks trained for minutes: compare their order with the paper's, not their values"


class Footnotes:
    """Numbers notes in the order in which they are met."""

    def __init__(self) -> None:
        self.notes: dict[str, int] = {}

    def mark(self, *notes: str) -> str:
        """`[1,2]` behind what they belong to."""
        numbers = [str(self.notes.setdefault(note, len(self.notes) + 1)) for note in notes if note]
        return f" [{','.join(numbers)}]" if numbers else ""


def as_markdown(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> str:
    """The whole page."""
    foot = Footnotes()
    body = "\n".join(_aligned(list(_rows(table, scales, cells, foot))))
    parts = [f"# {table.title}", table.citation, *([table.note] if table.note else []), body]
    parts.append("\n".join(_legend(table, scales, cells)))
    if foot.notes:
        parts.append("\n".join(f"[{number}] {_escape(note)}  " for note, number in foot.notes.items()))
    runs = missing_runs(cells)
    if runs:
        parts.append(_missing(table, scales, runs))
    return "\n\n".join(parts) + "\n"


def _missing(table: Table, scales: Sequence[str], runs: Sequence[PlannedRun]) -> str:
    """Commands for the first seed of what is missing; those of the others differ in the seed alone."""
    scale = scales[0] if len(scales) == 1 else "SCALE"
    command = f"reelbench table {table.argument} --scale {scale} --run"
    seedless: dict[str, list[PlannedRun]] = {}
    for run in runs:
        seedless.setdefault(identity({**run.config, "seed_everything": None}), []).append(run)
    lines = []
    for alike in seedless.values():
        first, seeds = alike[0], [str(run.config["seed_everything"]) for run in alike]
        lines.append(f"# {first.label}: {told(state_of(first))}{_others(seeds[1:])}")
        lines += [shown(first.fit()), *(f"reelbench test {first.folder} --config {t.protocol}" for t in first.tests)]
    how = f"`{command} --local 1` makes them, `{command} --dry-run` lists every command."
    return "\n".join(["## Missing", "", f"{plural(len(runs), 'run')}. {how}", "", "```bash", *lines, "```"])


def _others(seeds: Sequence[str]) -> str:
    return f"; likewise with seed {', '.join(seeds)}" if seeds else ""


def _columns(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> list[tuple[str, str | None]]:
    """Name and scale, or None for the published numbers."""
    columns: list[tuple[str, str | None]] = []
    for column in table.columns:
        columns.append((column.name, None))
        columns += [(column.name, s) for s in scales if any(key[1:] == (column.name, s) for key in cells)]
    return columns


def _rows(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced], foot: Footnotes) -> Iterator[list[str]]:
    columns, known = _columns(table, scales, cells), {column.name: column for column in table.columns}
    head = [""]
    for name, scale in columns:
        column = known[name]
        unit = f" {column.unit}" if column.unit else ""
        title = f"{_escape(name)}{unit}{ARROWS[column.better]}"
        head.append(f"{scale} scale" if scale else f"{title}{foot.mark(column.note)}")
    yield [*head, "read in"]
    for row in [*(r for r in table.rows if not r.reference), *(r for r in table.rows if r.reference)]:
        label = f"*{_escape(row.name)} (reference)*" if row.reference else _escape(row.name)
        line = [label + foot.mark(row.note)]
        for name, scale in columns:
            if scale is None:
                line.append(_published(row.published.get(name), foot))
            else:
                line.append(_reproduced(cells.get((row.name, name, scale)), foot))
        yield [*line, _read_in(row)]


def _read_in(row: Row) -> str:
    return ", ".join(dict.fromkeys(source for said in row.published.values() for source in said.read_in))


def _published(said: Published | None, foot: Footnotes) -> str:
    if said is None:
        return "–"
    if said.value is None:
        return f"not read{foot.mark(said.note)}"
    error = "" if said.error is None else f" ± {said.error:g}"
    return f"{said.value:g}{error}{foot.mark(said.note)}"


def _reproduced(cell: Reproduced | None, foot: Footnotes) -> str:
    if cell is None:
        return "–"
    if cell.value is None:
        text = MISSING if cell.missing or not cell.wanted else "none"
        return f"{text}{foot.mark(cell.note)}"
    value, error = figures(cell.value, cell.error)
    text = f"{value} ± {error}" if cell.kind else value
    seeds = f"n={cell.n}" if cell.n == cell.wanted else f"n={cell.n} of {cell.wanted}"
    return f"{text} ({seeds}){foot.mark(cell.note)}"


def _legend(table: Table, scales: Sequence[str], cells: Mapping[Key, Reproduced]) -> Iterator[str]:
    for key, source in table.sources.items():
        yield f"- read in {key}: {_escape(source)}"
    for name, scale in _columns(table, scales, cells):
        if scale is None:
            continue
        column = next(column for column in table.columns if column.name == name)
        numbers = [m for key, cell in cells.items() if key[1:] == (name, scale) for m in cell.numbers]
        if not numbers:
            yield f"- {_escape(name)}, {scale} scale: {column.metric} under {column.protocol}, not measured yet"
            continue
        score, number = numbers[0].score, numbers[0].number
        what = (subject(score.protocol), setting(score.protocol), conditions(score.protocol), number.fingerprint)
        yield (
            f"- {_escape(name)}, {scale} scale: {column.metric} `{number.hash}` under {score.protocol.get('label')} "
            f"`{score.hash}`: {_escape('; '.join(what))}"
        )
    kinds = {cell.kind for cell in cells.values()}
    if "seeds" in kinds:
        yield "- ± of a reproduced mean: standard error over n training seeds"
    if "clips" in kinds:
        yield "- ± where n=1: standard error of the one run's number over its clips"
    if any(key[2] == "cpu" and cell.numbers for key, cell in cells.items()):
        yield f"- {CPU}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    text = [0, len(widths) - 1]  # these columns hold words
    out = []
    for row in rows:
        padded = [c.ljust(w) if i in text else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        out.append(f"| {' | '.join(padded)} |")
    rule = ["-" * w if i in text else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [out[0], f"| {' | '.join(rule)} |", *out[1:]]


def _escape(text: str) -> str:
    for mark in "\\|*<":
        text = text.replace(mark, f"\\{mark}")
    return text
