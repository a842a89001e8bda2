"""A table with runs beside it: means by hand, what is missing, and numbers that must not meet."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.cli import main
from experiments.sweep.plan import PlannedRun
from experiments.table.file import read_table
from experiments.table.reproduced import missing_runs, reproduce
from tests.experiments.table_runs import finish, protocol_file
from tests.helpers.runs import TOY

SOURCES = {"paper": "the paper's Table 9"}


def table_file(folder: Path, **more: Any) -> str:
    """Two methods, of which one is still to come, and real data."""
    content = {
        "title": "Toys, Table 9",
        "citation": "A. Maker: Toys. 1999",
        "sources": SOURCES,
        "protocol": protocol_file(folder),
        "seeds": {"cpu": [0, 1, 2]},
        "base": {"cpu": {"config": TOY}},
        "columns": {
            "ACD": {"better": "lower", "metric": "acd_color"},
            "votes": {"better": "higher", "note": "a study"},
        },
        "rows": {
            "slow toy": {
                "published": {"ACD": {"value": 2.5, "error": 0.1}, "votes": 60},
                "read_in": "paper",
                "runs": {"cpu": {"model.init_args.lr": 0.01}},
            },
            "fast toy": {
                "published": {"ACD": {"value": None, "note": "smudged"}},
                "runs": {"cpu": {"model.init_args.lr": 0.02}},
            },
            "next toy": {"published": {"ACD": 1.5}, "read_in": "paper", "runs": {"cpu": {"method": "next_toy"}}},
            "real clips": {"published": {"ACD": 0}, "read_in": "paper", "reference": True},
        },
        **more,
    }
    path = folder / "toys.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def planned(name: str, folder: Path) -> dict[str, list[PlannedRun]]:
    """The runs that are missing, by the row's name."""
    cells = reproduce(read_table(name), ["cpu"], folder / "runs")
    return {row: [run for run, _ in cell.missing] for (row, column, _), cell in cells.items() if column == "ACD"}


def shown(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    assert main(["table", *map(str, argv)]) == 0
    return capsys.readouterr().out


def test_mean_and_standard_error_over_seeds_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = table_file(tmp_path)
    runs = planned(name, tmp_path)
    assert {row: len(missing) for row, missing in runs.items()} == {"slow toy": 3, "fast toy": 3, "next toy": 0}
    for run, value in zip(runs["slow toy"], (1.0, 2.0, 6.0), strict=True):
        finish(run, value, error=0.5)
    finish(runs["fast toy"][1], 4.0, error=0.25, note="real clips: 0")

    lines = list(csv.DictReader(io.StringIO(shown(capsys, name, "--format", "csv", "--runs", tmp_path / "runs"))))
    by_row = {(line["row"], line["column"]): line for line in lines}
    slow, fast = by_row["slow toy", "ACD"], by_row["fast toy", "ACD"]
    # mean 3; deviations -2, -1, 3: variance 14 / 2 = 7; standard error sqrt(7 / 3)
    assert float(slow["value"]) == 3.0 and math.isclose(float(slow["error"]), math.sqrt(7 / 3))
    assert (slow["error_of"], slow["n_seeds"], slow["seeds_wanted"], slow["missing"]) == ("seeds", "3", "3", "")
    assert (slow["published"], slow["published_error"], slow["read_in"]) == ("2.5", "0.1", "the paper's Table 9")
    assert (float(fast["value"]), float(fast["error"]), fast["error_of"], fast["n_seeds"]) == (4.0, 0.25, "clips", "1")
    assert fast["published"] == "" and fast["published_note"] == "smudged"
    assert fast["missing"].count("reelbench fit") == fast["missing"].count("reelbench test") == 2
    assert slow["number_hash"] == fast["number_hash"] and slow["protocol_label"] == "tiny" and slow["scale"] == "cpu"
    assert by_row["slow toy", "votes"]["scale"] == "" and by_row["real clips", "ACD"]["value"] == ""


def test_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = table_file(tmp_path)
    runs = planned(name, tmp_path)
    for run, value in zip(runs["slow toy"], (1.0, 2.0, 6.0), strict=True):
        finish(run, value)
    text = shown(capsys, name, "--runs", tmp_path / "runs")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["", "ACD ↓", "cpu scale", "votes ↑ [1]", "read in"]
    assert rows[2:] == [
        ["slow toy", "2.5 ± 0.1", "3.0 ± 1.5 (n=3)", "60", "paper"],
        ["fast toy", "not read [2]", "missing", "–", ""],
        ["next toy", "1.5", "missing [3]", "–", "paper"],
        ["*real clips (reference)*", "0", "–", "–", "paper"],
    ]
    for note in (
        "[1] a study",
        "[2] smudged",
        "[3] no config method/next_toy yet",
        "standard error over n training seeds",
    ):
        assert note in text
    assert "acd_color `" in text and "under tiny `" in text and "toy, test split; " in text
    command = f"reelbench table {name} --scale cpu --run"
    assert f"3 runs. `{command} --local 1` makes them" in text
    assert f"# fast toy, cpu, seed 0: missing; likewise with seed 1, 2\nreelbench fit --config {TOY} --seed" in text
    assert f"reelbench test {runs['fast toy'][0].folder} --config {tmp_path / 'tiny.yaml'}" in text


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = table_file(tmp_path)
    finish(planned(name, tmp_path)["slow toy"][0], None, note="missing: no weights")
    told = json.loads(shown(capsys, name, "--format", "json", "--runs", tmp_path / "runs"))
    assert (told["table"], told["citation"]) == ("toys", "A. Maker: Toys. 1999")
    line = told["lines"][0]
    assert line["row"] == "slow toy" and line["value"] is None and line["note"] == "missing: no weights"
    assert line["published"] == 2.5 and line["n_seeds"] == 0


@pytest.mark.parametrize("conditions", [{"split_digest": "other"}, {"height": 64}, {"n_fake": 255}])
def test_numbers_under_different_conditions_are_refused(
    conditions: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = table_file(tmp_path)
    runs = planned(name, tmp_path)
    finish(runs["slow toy"][0], 1.0)
    finish(runs["fast toy"][0], 1.0, **conditions)
    assert main(["table", name, "--runs", str(tmp_path / "runs")]) == 2
    shown = capsys.readouterr()
    ((key, value),) = conditions.items()
    assert not shown.out and "column 'ACD' at scale cpu would mix numbers that do not compare" in shown.err
    assert "'slow toy'" in shown.err and "'fast toy'" in shown.err and f"{key}: " in shown.err
    assert f"-> {value!r}" in shown.err


def test_a_number_that_was_measured_with_other_settings_is_missing(tmp_path: Path) -> None:
    name = table_file(tmp_path)
    finish(planned(name, tmp_path)["slow toy"][0], 1.0)
    protocol_file(tmp_path, n_real=99)
    assert len(planned(name, tmp_path)["slow toy"]) == 3


def test_what_is_missing_is_run_by_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = table_file(tmp_path)
    for run in planned(name, tmp_path)["slow toy"]:
        finish(run, 1.0)
    text = shown(capsys, name, "--run", "--dry-run", "--runs", tmp_path / "runs")
    assert "# next toy, ACD, cpu scale cannot be run: no config method/next_toy yet" in text
    assert text.count("\nreelbench fit") == 3 and "lr=0.02" in text and "lr=0.01" not in text
    assert text.rstrip().endswith("# 3 runs: 0 done, 3 to do")
    for run in planned(name, tmp_path)["fast toy"]:
        finish(run, 1.0)
    assert "nothing is missing that could be run" in shown(
        capsys, name, "--run", "--dry-run", "--runs", tmp_path / "runs"
    )


def test_one_run_that_two_columns_ask_for_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text((Path(protocol_file(tmp_path)).read_text()).replace("tiny", "other") + "\n")
    text = (tmp_path / "other.yaml").read_text().replace("split: test", "n_real: 9\n    split: test")
    (tmp_path / "other.yaml").write_text(text)
    columns = {
        "ACD": {"better": "lower", "metric": "acd_color"},
        "ACD of 9": {"better": "lower", "metric": "acd_color", "protocol": str(tmp_path / "other.yaml")},
    }
    rows = {"slow toy": {"runs": {"cpu": {"model.init_args.lr": 0.01}}}}
    name = table_file(tmp_path, columns=columns, rows=rows, seeds={"cpu": [4]})
    (run,) = missing_runs(reproduce(read_table(name), ["cpu"], tmp_path / "runs"))
    assert [Path(test.protocol).stem for test in run.tests] == ["tiny", "other"]
    assert run.config["seed_everything"] == 4 and run.config["scale"] == "cpu"


def test_scale_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", table_file(tmp_path), "--scale", "paper"]) == 2
    assert "--scale paper: no run reproduces toys at this scale; there is cpu" in capsys.readouterr().err
    assert main(["table", table_file(tmp_path), "--local", "2"]) == 2
    assert "go with --run" in capsys.readouterr().err
    assert main(["table", table_file(tmp_path), "--run"]) == 2
    assert "say where to run" in capsys.readouterr().err
