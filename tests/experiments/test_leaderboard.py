import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.board import Board, build
from experiments.board_markdown import markdown
from experiments.cli import main
from experiments.runs import read_runs
from experiments.wording import conditions, figures, printable, setting, step_text
from tests.experiments.run_folders import NOW, QUICK, number, score, write_run

TEST = replace(QUICK, split="test", label="cpu256", frames=32, stride=2, context=2, score_context=False)


def many(root: Path) -> None:
    """Two protocols, three seeds, a tie, two settings of one metric, references and whatever can be wrong."""
    for seed, acd in enumerate((3.2, 3.4, 3.3)):
        quick = score(QUICK, number(QUICK, "acd", acd, 0.12), number(QUICK, "diversity", 0.8, better=None))
        test = score(TEST, number(TEST, "acd", acd + 1, 0.1))
        write_run(root, "mocogan", quick, test, seed=seed, tags=["paper"])
    note = "weights missing: run reelbench weights fetch i3d"
    entries = (number(QUICK, "acd", 4.1, 0.02), number(QUICK, "ssim", 0.7, better=True), number(QUICK, "fvd", None))
    write_run(root, "tgan", score(QUICK, *entries[:2], entries[2] | {"note": note}))
    write_run(root, "vgan", score(QUICK, number(QUICK, "acd", 4.1), number(QUICK, "ssim", 0.7, better=True)))
    write_run(root, "svg", score(QUICK, number(QUICK, "acd", 2.0, 0.1, settings="threshold=16"), step=900))
    bare = score(QUICK, number(QUICK, "acd", 1.0, 0.3, note="fewer than 400 dims"), weights="none", step=0)
    write_run(root, "copy", bare, reference=True)
    write_run(root, "pg2", status={"state": "running", "step": 30, "heartbeat": NOW.isoformat()})
    write_run(root, "edn", status={"state": "running", "step": 30})
    write_run(root, "a|b<i>", status={"state": "failed", "step": 7, "reason": "loss is\n not finite"})
    half = write_run(root, "half", score(QUICK, number(QUICK, "acd", 0.1)))
    (half / "results.json").write_text('{"name": "half"')
    (root / "junk").mkdir()


# In the golden text names of six letters stand for the hashes, so that the columns keep their widths.
HASHES = {
    "PRTEST": TEST.hash,
    "PRVALI": QUICK.hash,
    "ACTEST": TEST.number_hash("acd"),
    "ACVALI": QUICK.number_hash("acd"),
    "ACTR16": QUICK.number_hash("acd threshold=16"),
    "DIVERS": QUICK.number_hash("diversity"),
    "SSIM__": QUICK.number_hash("ssim"),
    "FVD___": QUICK.number_hash("fvd"),
}
GOLDEN = Path(__file__).with_name("leaderboard_golden.md")


def text(root: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["leaderboard", str(root), *options]) == 0
    return capsys.readouterr().out


def board(root: Path, **options: str) -> Board:
    return build(read_runs([root], NOW), **options)


def test_golden(tmp_path: Path) -> None:
    many(tmp_path)
    expected = GOLDEN.read_text(encoding="utf-8")
    for name, digest in HASHES.items():
        expected = expected.replace(name, digest)
    assert markdown(board(tmp_path)) == expected


def test_protocols_and_settings_never_mix(tmp_path: Path) -> None:
    """One table for each set of conditions, even where an edited record claims another's hash."""
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 3.0)))
    other = replace(QUICK, n_fake=128)
    write_run(tmp_path, "tgan", score(other, number(other, "acd", 2.0)))
    folder = write_run(tmp_path, "vgan", score(other, number(other, "acd", 1.0)))
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(text.replace(other.hash, QUICK.hash))
    groups = board(tmp_path).groups
    assert sorted(row.label for group in groups for row in group.rows) == ["mocogan", "tgan", "vgan"]
    assert len(groups) == 3 and not any(group.best for group in groups)


def test_label_does_not_split_a_table(tmp_path: Path) -> None:
    named = replace(QUICK, label="other")
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 3.0)))
    write_run(tmp_path, "tgan", score(named, number(named, "acd", 2.0)))
    (group,) = board(tmp_path).groups
    assert group.labels == ["other", "quick"] and len(group.columns) == 1 and len(group.rows) == 2


def test_seeds_are_aggregated(tmp_path: Path) -> None:
    """Mean and sample standard deviation of 1, 2, 4: 7/3 and sqrt(7/3)."""
    for seed, value in enumerate((1.0, 2.0, 4.0)):
        write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", value, 0.5)), seed=seed)
    (group,) = board(tmp_path).groups
    (row,) = group.rows
    entry = row.entries[group.columns[0]]
    assert row.seeds == [0, 1, 2] and entry.kind == "sd" and entry.n == 3
    assert entry.value == pytest.approx(7 / 3) and entry.spread == pytest.approx(math.sqrt(7 / 3))


def test_seeds_with_holes(tmp_path: Path) -> None:
    for seed, value in enumerate((1.0, None, 4.0)):
        entry = number(QUICK, "acd", value, 0.5, note="" if value else "no shape found")
        write_run(tmp_path, "mocogan", score(QUICK, entry), seed=seed)
    (group,) = board(tmp_path).groups
    shown = group.rows[0].entries[group.columns[0]]
    assert (shown.value, shown.n) == (2.5, 2)
    assert shown.notes == ("no shape found", "2 of 3 seeds have this number")


@pytest.mark.parametrize("differs", ["method", "step", "weights", "seed twice"])
def test_what_is_not_a_seed_is_not_aggregated(tmp_path: Path, differs: str) -> None:
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 1.0)))
    entry = score(QUICK, number(QUICK, "acd", 2.0))
    over: dict[str, dict[str, object]] = {"step": {"step": 900}, "weights": {"weights": "ema"}}
    entry |= over.get(differs, {})
    root = tmp_path / "zoo" if differs == "seed twice" else tmp_path
    write_run(root, "mocogan", entry, seed=0 if root != tmp_path else 1, lr=3e-4 if differs == "method" else 1e-4)
    roots = [tmp_path, root] if root != tmp_path else [tmp_path]
    (group,) = build(read_runs(roots, NOW)).groups
    assert [row.value(group.columns[0]) for row in group.rows] == [1.0, 2.0]
    assert len({row.label for row in group.rows}) == 1 if differs == "seed twice" else 2


@pytest.mark.parametrize("better", [True, False])
def test_best_and_rank_follow_the_direction(tmp_path: Path, better: bool) -> None:
    for name, value in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0)):
        write_run(tmp_path, name, score(QUICK, number(QUICK, "m", value, better=better)))
    write_run(tmp_path, "real", score(QUICK, number(QUICK, "m", 3.0 if better else 1.0, better=better)), reference=True)
    (group,) = board(tmp_path).groups
    expected = [("b", 1), ("c", 1), ("d", 3), ("a", 4)] if better else [("a", 1), ("d", 2), ("b", 3), ("c", 3)]
    assert [(row.label, row.rank) for row in group.rows] == expected
    best = [row.label for row in [*group.rows, *group.references] if group.is_best(row, group.columns[0])]
    assert best == (["b", "c"] if better else ["a"])


@pytest.mark.parametrize("state", ["running", "preempted", "failed", "stopped"])
def test_unfinished_runs_are_not_ranked(tmp_path: Path, state: str) -> None:
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 3.0)))
    early = score(QUICK, number(QUICK, "acd", 1.0), step=500)
    write_run(tmp_path, "tgan", early, status={"state": state, "step": 600, "heartbeat": NOW.isoformat()})
    shown = board(tmp_path)
    assert [row.label for row in shown.groups[0].rows] == ["mocogan"]
    assert [(run.name, why) for run, why in shown.absent] == [("tgan", f"{state} at step 600 of 1500")]


def test_descriptive_number_is_not_ranked(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 3.0)):
        write_run(tmp_path, name, score(QUICK, number(QUICK, "diversity", value, better=None)))
    (group,) = board(tmp_path).groups
    assert [(row.label, row.rank) for row in group.rows] == [("b", None), ("a", None)] and not group.best
    assert "Sorted by" in markdown(board(tmp_path)) and "**" not in markdown(board(tmp_path))


def test_sort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, acd, ssim in (("a", 1.0, 0.3), ("b", 3.0, 0.9)):
        write_run(tmp_path, name, score(QUICK, number(QUICK, "acd", acd), number(QUICK, "ssim", ssim, better=True)))
    for wanted in ("ssim", QUICK.number_hash("ssim"), f"ssim-{QUICK.number_hash('ssim')}"):
        assert [row.label for row in board(tmp_path, sort=wanted).groups[0].rows] == ["b", "a"]
    assert main(["leaderboard", str(tmp_path), "--sort", "sim"]) == 2
    assert (
        "--sort sim: no such metric in these tables, did you mean 'ssim'? (they hold acd, ssim)"
        in capsys.readouterr().err
    )


def test_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many(tmp_path)
    assert [group.hash for group in board(tmp_path, split="test").groups] == [TEST.hash]
    shown = markdown(board(tmp_path, split="test"))
    assert "- tgan-000064012345: not scored on the test split" in shown
    tagged = build(read_runs([tmp_path], NOW), tags=["paper"])
    assert {run.name for run in tagged.runs} == {"mocogan"} and not tagged.absent
    assert main(["leaderboard", str(tmp_path), "--tag", "papre"]) == 2
    assert "no run carries the tag papre; tags found: paper" in capsys.readouterr().err


def test_nothing_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_RUNS", str(tmp_path / "runs"))
    assert main(["leaderboard"]) == 2
    assert capsys.readouterr().err == (
        f"reelbench: runs folder {tmp_path / 'runs'} does not exist; give another one, or set REELBENCH_RUNS\n"
    )
    (tmp_path / "runs").mkdir()
    assert main(["leaderboard"]) == 2
    assert f"no runs in {tmp_path / 'runs'}" in capsys.readouterr().err
    write_run(tmp_path / "runs", "mocogan")
    assert main(["leaderboard"]) == 0
    out = capsys.readouterr().out
    assert "No finished run has been scored" in out and "1 run: 0 in the tables; 1 finished, not scored." in out


def test_csv_has_full_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many(tmp_path)
    assert main(["leaderboard", str(tmp_path), "--format", "csv"]) == 0
    captured = capsys.readouterr()
    lines = list(csv.DictReader(io.StringIO(captured.out)))
    mocogan = [line for line in lines if line["run"] == "mocogan" and line["metric"] == "acd"]
    test = [line for line in mocogan if line["protocol"] == TEST.hash]
    assert [(line["seed"], float(line["value"])) for line in test] == [("0", 4.2), ("1", 4.4), ("2", 4.3)]
    first = test[0]
    assert first["number"] == TEST.number_hash("acd") and first["key"] == TEST.key("acd", "acd")
    assert (first["protocol_split"], first["protocol_frames"], first["protocol_n_fake"]) == ("test", "32", "256")
    assert first["fingerprint"] == "acd" and first["code_version"] == "abc1234" and first["rank"] == "1"
    fvd = {line["run"]: (line["status"], line["value"], line["note"]) for line in lines if line["metric"] == "fvd"}
    assert fvd["vgan"] == ("missing", "", "")
    assert fvd["tgan"] == ("none", "", "weights missing: run reelbench weights fetch i3d")
    assert "12 runs: 7 in the tables" in captured.err and "--format md names them" in captured.err


def test_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many(tmp_path)
    value = json.loads(text(tmp_path, capsys, "--format", "json"))
    group = next(group for group in value["groups"] if group["hash"] == QUICK.hash)
    assert group["protocol"]["n_real"] == 256 and group["sorted_by"] == QUICK.number_hash("acd")
    row = group["rows"][0]
    cell = next(cell for cell in row["cells"] if cell["number"] == QUICK.number_hash("acd"))
    assert (cell["status"], cell["kind"], cell["n"], cell["best"]) == ("value", "sd", 3, True)
    assert [(n["seed"], n["value"], n["fingerprint"]) for n in cell["numbers"]] == [
        (0, 3.2, "acd"),
        (1, 3.4, "acd"),
        (2, 3.3, "acd"),
    ]
    assert [cell["status"] for cell in row["cells"]].count("missing") == 3
    assert row["runs"][2]["seed"] == 2 and len(row["runs"][2]["identity"]) > 12
    assert [row["label"] for row in group["rows"] if row["reference"]] == ["copy"]
    states = {run["name"]: run["state"] for run in value["absent"]}
    assert states == {"a|b<i>": "failed", "edn": "lost", "half": "finished", "junk": "unknown", "pg2": "lost"}
    assert any("results.json is damaged" in problems[0] for problems in value["problems"].values())


def test_code_versions_are_shown(tmp_path: Path) -> None:
    entry = score(QUICK, number(QUICK, "acd", 1.0), code_version="def5678")
    folder = write_run(tmp_path, "mocogan", entry)
    (folder / "environment.json").write_text('{"code_version": "abc1234", "dirty": true}')
    shown = markdown(board(tmp_path))
    assert "| mocogan¹,² |" in shown and "| abc1234 |" in shown
    assert "¹ trained with changes that are not in commit abc1234" in shown and "² scored by code def5678" in shown


def test_same_name_other_settings(tmp_path: Path) -> None:
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 1.0)))
    write_run(tmp_path, "mocogan", score(QUICK, number(QUICK, "acd", 2.0)), lr=3e-4)
    assert [row.label for row in board(tmp_path).groups[0].rows] == ["mocogan (000064)", "mocogan (00012c)"]


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (3.14159, 0.0123, ("3.142", "0.012")),
        (3.14159, 1.23, ("3.1", "1.2")),
        (912.4, 13.2, ("912", "13")),
        (91234.0, 1300.0, ("91234", "1300")),
        (3.14159, None, ("3.142", "")),
        (31415.9, None, ("31416", "")),
        (0.000123456, None, ("0.0001235", "")),
        (1.23e-12, None, ("1.23e-12", "")),
        (0.0, None, ("0", "")),
        (0.8, 0.0, ("0.8000", "0.0000")),
        (0.8, 1.4e-17, ("0.8000", "0.0000")),
        (-2.5, 0.25, ("-2.50", "0.25")),
    ],
)
def test_figures(value: float, spread: float | None, expected: tuple[str, str]) -> None:
    assert figures(value, spread) == expected


def test_wording() -> None:
    assert setting({}) == "?×?, ? frames, every ?th frame of the video, ? real and ? generated clips, evaluation seed ?"
    assert [setting({"stride": n}).split(", ")[2] for n in (3, 11, 22)] == [
        f"every {n} frame of the video" for n in ("3rd", "11th", "22nd")
    ]
    assert conditions({"channels": 1, "estimator": "x"}).endswith("1 channel; no context frames; estimator x")
    assert printable("a\n\tb\x1b[31m\ud800") == "a b\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}"
    assert [step_text(*steps) for steps in ((5, 5), (5, None), (5, 9), (None, 9))] == ["5", "5", "5/9", "?"]


def test_damaged_bytes_can_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = score(QUICK, number(QUICK, "acd", 1.0))
    write_run(tmp_path, "mocogan", entry, tags=["\ud800"], code_version="\x1b[2J\ud800")
    for style in ("md", "csv", "json"):
        shown = text(tmp_path, capsys, "--format", style)
        shown.encode()
        assert style == "csv" or "\x1b" not in shown


def test_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["leaderboard", "--help"])
    assert stopped.value.code == 0 and "usage: reelbench leaderboard" in capsys.readouterr().out
