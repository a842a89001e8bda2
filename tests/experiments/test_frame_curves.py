"""Curves over the frames of a clip, from results.json to the page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.board import build
from experiments.report.frame_curves import frame_charts
from experiments.report.page import render
from experiments.runs import read_run, read_runs
from experiments.wording import setting
from tests.experiments.run_folders import NOW, QUICK, number, score, write_run

CURVE = {"frame": [2, 3], "mean": [0.9, 0.70000001], "standard_error": [0.01, 0.02], "count": 4}


def ssim(**over: Any) -> dict[str, Any]:
    return number(QUICK, "ssim", 0.8, better=True) | {"curve": {**CURVE, **over}}


def test_one_chart_for_all_runs_under_a_protocol(tmp_path: Path) -> None:
    write_run(tmp_path, "svg", score(QUICK, ssim(), number(QUICK, "acd", 3.0)))
    write_run(tmp_path, "vae", score(QUICK, ssim(standard_error=None)))
    runs = read_runs([tmp_path], NOW)
    assert [run.problems for run in runs] == [(), ()]
    (chart,) = frame_charts([(run, {"label": run.name}) for run in runs])
    assert chart == {
        "title": "val/ssim",
        "of": f"quick-{QUICK.number_hash('ssim')}",
        "axis": "frame",
        "lines": [
            {"label": "svg", "x": [2, 3], "y": [0.9, 0.7], "low": [0.8804, 0.6608], "high": [0.9196, 0.7392]},
            {"label": "vae", "x": [2, 3], "y": [0.9, 0.7]},
        ],
    }
    page = render(build(runs), "Curves", 0)
    assert '"axis": "frame"' in page and ", over the frames of a clip</small>" in page


def test_the_end_of_the_context_is_marked(tmp_path: Path) -> None:
    given = replace(QUICK, context=2)
    write_run(tmp_path, "svg", score(given, number(given, "ssim", 0.8, better=True) | {"curve": CURVE}))
    (chart,) = frame_charts([(run, {}) for run in read_runs([tmp_path], NOW)])
    assert chart["mark"] == 1.5  # between the last given frame, 1, and the first predicted one


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"mean": [0.9]}, "curve must hold frame and mean, lists of one length"),
        ({"frame": None}, "curve must hold frame and mean, lists of one length"),
        ({"frame": [], "mean": [], "standard_error": []}, "curve must hold frame and mean, lists of one length"),
        ({"standard_error": [0.1]}, "curve must hold frame and mean, lists of one length"),
        ({"frame": [2, "x"]}, "curve.frame must hold whole numbers"),
        ({"mean": [0.9, float("nan")]}, "curve must hold finite numbers"),
        ({"mean": [0.9, "0.7"]}, "curve must hold finite numbers"),
    ],
)
def test_a_damaged_curve_is_named(tmp_path: Path, over: dict[str, Any], problem: str) -> None:
    run = read_run(write_run(tmp_path, "svg", score(QUICK, ssim(**over), number(QUICK, "acd", 3.0))), NOW)
    assert list(run.scores[0].numbers) == ["acd"]
    assert run.problems == (f"results.json: protocol {QUICK.hash}: ssim is left out: {problem}",)


def test_samples_are_put_into_words_where_there_are_several() -> None:
    assert "256 real and 256 generated clips, evaluation" in setting({"n_real": 256, "n_fake": 256, "samples": 1})
    assert "256 generated clips, 100 samples of each" in setting({"n_real": 256, "n_fake": 256, "samples": 100})
