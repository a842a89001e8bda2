"""`reelbench report`: one HTML file with tables, curves and clips, that loads nothing from anywhere."""

import argparse
import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from datamodules.errors import BenchError
from datamodules.files import readable_size, write_whole
from datamodules.jsonfile import now
from experiments import wording
from experiments.board import Board, build
from experiments.leaderboard import add_run_arguments, default_runs
from experiments.report.clips import Clips, read_clips
from experiments.report.curves import charts
from experiments.report.frame_curves import frame_charts
from experiments.report.strips import read_predictions
from experiments.runs import Run, read_runs

HERE = Path(__file__).parent
COLORS = 8  # of page.css


def main(argv: list[str]) -> int:
    """Writes the page; returns the exit code.

    Raises:
        BenchError: no run is there, an argument names nothing, or the page cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench report",
        description="Write one HTML page with tables, curves and clips of all runs. It works from a file and loads "
        "nothing. It holds configs, commands, host names and clips: look through it before you publish it.",
    )
    add_run_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), help="the page (default: %(default)s)"
    )
    parser.add_argument("--clips", type=int, default=8, help="clips of each run, 0 for none (default: %(default)s)")
    parser.add_argument("--title", default="Reelbench report", help="heading of the page")
    parser.add_argument("--sort", metavar="METRIC", help="metric or hash to rank by (default: the first with ↑ or ↓)")
    args = parser.parse_args(argv)
    if args.clips < 0:
        raise BenchError(f"--clips {args.clips}: give 0 or more")
    if args.output.is_dir():
        raise BenchError(
            f"--output {args.output} is a folder; name a file in it, such as {args.output / 'report.html'}"
        )
    board = build(read_runs(args.runs or [default_runs()]), args.split, args.tag, args.sort)
    text = render(board, args.title, args.clips)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.output, text)
    print(f"{args.output}: {readable_size(len(text.encode()))}, {wording.counted(board)}")
    return 0


def render(board: Board, title: str, clips: int) -> str:
    """The whole page.

    Args:
        clips: at most so many of each run.
    """
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals |= {"wording": wording, "readable_size": readable_size}
    looks = _looks(board.runs)
    problems = {run.folder: list(run.problems) for run in board.runs}
    found = {run.folder: read_clips(run.folder, clips) for run in board.runs}
    for folder, of_run in found.items():
        problems[folder] += of_run.problems
    stages = _stages(board.runs, found)
    predicted = {run.folder: read_predictions(run.folder, clips, problems[run.folder]) for run in board.runs}
    shown = [stage["real"] for stage in stages] + [of_run.fake for of_run in found.values()]
    shown += [list(each.pictures) for of_run in predicted.values() for each in of_run]
    script, style = ((HERE / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    lines = [(run, looks[run.folder]) for run in board.runs]
    content = {
        "title": title,
        "time": now(),
        "board": board,
        "looks": looks,
        "numbered": {run.folder: i for i, run in enumerate(board.runs)},
        "facts": {run.folder: _facts(run) for run in board.runs},
        "why_absent": {run.folder: why for run, why in board.absent},
        "stages": stages,
        "found": found,
        "predicted": predicted,
        "charts": frame_charts(lines) + charts(lines, problems),
        "problems": problems,
        "clip_bytes": sum(len(uri) for clips in shown for _, uri in clips),
        # Our own text, not the runs': the policy names its digest, and no other script or style is obeyed.
        **{"script": Markup(script), "script_digest": _digest(script)},
        **{"style": Markup(style), "style_digest": _digest(style)},
    }
    template = environment.get_template("page.html.j2")
    size = len(template.render(content, page_bytes=0).encode("utf-8", "replace"))
    return template.render(content, page_bytes=size).encode("utf-8", "replace").decode()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _looks(runs: Sequence[Run]) -> dict[Path, dict[str, Any]]:
    """Label and line of each run: a colour a cell, a dash a seed."""
    names = Counter(run.name for run in runs)
    cells = list(dict.fromkeys(run.cell for run in sorted(runs, key=lambda run: not run.complete)))
    looks = {}
    for run in runs:
        same = [other for other in runs if other.cell == run.cell]
        label = run.name
        if names[run.name] > 1:
            unlike = any(other.cell != run.cell for other in runs if other.name == run.name)
            label += f" ({(run.identity or run.cell)[:6]})" if unlike else ""
            label += f", seed {run.seed}" if len(same) > 1 else ""
        looks[run.folder] = {"label": label, "color": cells.index(run.cell) % COLORS, "dash": same.index(run) % 4}
    return looks


def _facts(run: Run) -> list[tuple[str, str]]:
    """What the page says of a run, in order; what is not recorded is left out."""
    packages, command = run.environment.get("packages"), run.environment.get("command")
    facts = {
        "folder": run.folder.name,
        "method": run.class_path or run.method,
        "data": run.data,
        "seed": run.seed,
        "step": None if run.step is None else wording.step_text(run.step, run.max_steps),
        "identity": run.identity,
        "scale": run.scale,
        "tags": ", ".join(run.tags),
        "code version": f"{run.code_version} with uncommitted changes" if run.dirty else run.code_version,
        **{key: run.status.get(key) for key in ("started", "heartbeat", "host", "job", "reason")},
        "training time": wording.duration(run.status.get("seconds")),
        **{key: run.environment.get(key) for key in ("python", "platform")},
        "packages": ", ".join(f"{k} {v}" for k, v in packages.items() if v) if isinstance(packages, dict) else None,
        "command": shlex.join(map(str, command)) if isinstance(command, list) else None,
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _stages(runs: Sequence[Run], found: Mapping[Path, Clips]) -> list[dict[str, Any]]:
    """Runs that are shown beside the same real clips; a run without real clips joins the first of its data set."""
    stages: list[dict[str, Any]] = []
    with_clips = [run for run in runs if found[run.folder].fake]
    for run in sorted(with_clips, key=lambda run: not found[run.folder].real):
        clips = found[run.folder]
        fits = (s for s in stages if s["data"] == run.data and (not clips.real or s["digest"] == clips.real_digest))
        stage = next(fits, None)
        if stage is None:
            stage = {"data": run.data, "digest": clips.real_digest, "real": clips.real, "runs": []}
            stages.append(stage)
        stage["runs"].append(run)
    return sorted(stages, key=lambda stage: stage["data"])
