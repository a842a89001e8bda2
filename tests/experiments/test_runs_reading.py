import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.errors import BenchError
from experiments.runs import read_run, read_runs
from tests.experiments.run_folders import NOW, QUICK, number, score, write_run


def whole(root: Path, **over: Any) -> Path:
    return write_run(root, "mocogan", score(QUICK, number(QUICK, "acd_color", 3.2, 0.1)), **over)


def edit(path: Path, **over: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | over))


def test_whole_run(tmp_path: Path) -> None:
    folder = whole(tmp_path, seed=3, tags=["paper", "cpu"], scale="cpu")
    run = read_run(folder, NOW)
    assert (run.name, run.method, run.data, run.seed) == ("mocogan", "mocogan", "shape_motion", 3)
    assert (run.state, run.step, run.max_steps, run.complete) == ("finished", 1500, 1500, True)
    assert run.tags == ("paper", "cpu") and run.scale == "cpu" and run.code_version == "abc1234" and not run.reference
    assert run.problems == ()
    (scored,) = run.scores
    assert scored.hash == QUICK.hash and scored.weights == "raw" and scored.step == 1500
    acd = scored.numbers["acd_color"]
    assert (acd.value, acd.standard_error, acd.n_real, acd.n_fake) == (3.2, 0.1, 256, 256)
    assert acd.hash == QUICK.number_hash("acd_color") and acd.higher_is_better is False


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"state": "running", "heartbeat": (NOW - timedelta(seconds=119)).isoformat()}, "running"),
        ({"state": "running", "heartbeat": (NOW - timedelta(seconds=121)).isoformat()}, "lost"),
        ({"state": "running", "heartbeat": (NOW - timedelta(seconds=1)).replace(tzinfo=None).isoformat()}, "running"),
        ({"state": "running", "heartbeat": (NOW + timedelta(seconds=30)).isoformat()}, "running"),
        ({"state": "preempted"}, "preempted"),
        ({"state": "failed"}, "failed"),
        ({"state": "stopped"}, "stopped"),
        ({"state": "finished", "heartbeat": "2020-01-01T00:00:00+00:00"}, "finished"),
    ],
)
def test_states(tmp_path: Path, status: dict[str, Any], state: str) -> None:
    run = read_run(whole(tmp_path, status=status), NOW)
    assert run.state == state and run.problems == ()
    assert run.complete == (state == "finished")


def test_states_that_cannot_be_told(tmp_path: Path) -> None:
    odd = read_run(whole(tmp_path, status={"state": "dancing"}), NOW)
    assert odd.state == "unknown" and "state is 'dancing', expected one of running, finished" in odd.problems[0]
    silent = read_run(whole(tmp_path, seed=1, status={"state": "running", "heartbeat": None}), NOW)
    assert silent.state == "lost" and silent.problems == ("status.json: heartbeat is None, expected an ISO 8601 time",)
    entry = whole(tmp_path, seed=2)
    (entry / "status.json").unlink()
    assert read_run(entry).state == "stored" and read_run(entry).complete and read_run(entry).problems == ()
    bare = write_run(tmp_path, "tgan")
    (bare / "status.json").unlink()
    assert read_run(bare).state == "unknown" and read_run(bare).problems == ("status.json is absent",)


def test_unscored_run_is_described_by_its_config(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, "tgan", seed=4), NOW)
    assert (run.name, run.method, run.data, run.seed) == ("tgan", "tgan", "shape_motion", 4)
    assert run.scores == () and run.problems == ()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("results.json", '{"name": "moco', "results.json is damaged (Unterminated string"),
        ("results.json", "[1, 2]", "results.json must hold a JSON object, found list"),
        ("results.json", "", "results.json is damaged (Expecting value"),
        ("results.json", '{"results": [1]}', "results.json: results must hold protocols, found list"),
        ("results.json", '{"results": {"abc123": {"values": {}}}}', "protocol abc123 is not a hash of 6 digits with"),
        ("results.json", '{"results": {"../..": {"protocol": {}}}}', "protocol ../.. is not a hash of 6 digits with"),
        ("status.json", '{"state": "finished", "step"', "status.json is damaged"),
        ("status.json", "{}", "status.json: state is None"),
        ("environment.json", "\x00\x00", "environment.json is damaged"),
        ("config.yaml", "a: [1", "config.yaml is not YAML"),
        ("config.yaml", "- 1\n", "config.yaml must hold keys, found list"),
        ("config.yaml", "!!python/object/apply:os.getcwd []\n", "config.yaml is not YAML: could not determine"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, name: str, content: str, problem: str) -> None:
    folder = whole(tmp_path)
    (folder / name).write_text(content)
    run = read_run(folder, NOW)
    assert len(run.problems) == 1 and problem in run.problems[0]
    assert str(tmp_path) not in run.problems[0]


def test_damaged_encoding_and_odd_files(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    (folder / "config.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "results.json").unlink()
    (folder / "results.json").mkdir()
    problems = " ".join(read_run(folder, NOW).problems)
    assert "results.json cannot be read: Is a directory" in problems and "config.yaml is not YAML" in problems


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"value": float("nan")}, "value is nan, which cannot be ranked"),
        ({"value": float("inf")}, "value is inf, which cannot be ranked"),
        ({"value": True}, "value is True, expected a number or null"),
        ({"value": "3.2"}, "value is '3.2', expected a number or null"),
        ({"standard_error": []}, "standard_error is [], expected a number or null"),
        ({"key": "val/acd_color/quick"}, "its key 'val/acd_color/quick' does not end in a hash of 6 digits"),
        ({"higher_is_better": "yes"}, "higher_is_better is 'yes', expected true, false or null"),
        ({"higher_is_better": 1}, "higher_is_better is 1, expected true, false or null"),
    ],
)
def test_bad_number_is_left_out_alone(tmp_path: Path, over: dict[str, Any], problem: str) -> None:
    good, bad = number(QUICK, "ssim", 0.8), number(QUICK, "acd_color", 3.2) | over
    entry = score(QUICK, good, bad)
    entry["values"] = {"ssim": good, "acd_color": bad}
    run = read_run(write_run(tmp_path, "mocogan", entry), NOW)
    assert list(run.scores[0].numbers) == ["ssim"]
    assert run.problems == (f"results.json: protocol {QUICK.hash}: acd_color is left out: {problem}",)


def test_no_value_says_why(tmp_path: Path) -> None:
    entry = score(QUICK, number(QUICK, "fvd", None, note="weights missing"), number(QUICK, "ssim", None))
    numbers = read_run(write_run(tmp_path, "mocogan", entry), NOW).scores[0].numbers
    assert (numbers["fvd"].value, numbers["fvd"].note) == (None, "weights missing")
    assert numbers["ssim"].note == "no value, no reason recorded"


def test_every_folder_is_listed(tmp_path: Path) -> None:
    whole(tmp_path)
    for name in ("junk", ".hidden", "__pycache__"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("not a folder")
    junk, run = read_runs([tmp_path], NOW)
    assert run.name == "mocogan"
    assert junk.name == "junk" and junk.state == "unknown"
    assert junk.problems == ("not a run folder: it holds none of config.yaml, status.json, results.json",)


def test_roots(tmp_path: Path) -> None:
    runs, zoo = tmp_path / "runs", tmp_path / "zoo"
    folder = whole(runs)
    whole(zoo, seed=1)
    assert [run.seed for run in read_runs([runs, zoo])] == [0, 1]
    assert [run.folder for run in read_runs([folder])] == [folder]  # a run folder stands for itself
    assert len(read_runs([runs, folder, tmp_path / "zoo" / ".." / "runs"])) == 1
    with pytest.raises(BenchError, match="does not exist; give another one, or set REELBENCH_RUNS"):
        read_runs([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"no runs in .*empty"):
        read_runs([tmp_path / "empty"])


def test_cell_is_all_but_the_seed(tmp_path: Path) -> None:
    first, second = read_run(whole(tmp_path, seed=0)), read_run(whole(tmp_path, seed=1))
    other = read_run(whole(tmp_path, seed=2, lr=3e-4))
    assert first.cell == second.cell != other.cell

    folder = shutil.copytree(first.folder, tmp_path / "elsewhere")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["trainer"]["default_root_dir"] = "/somewhere/else"
    config["data"]["init_args"]["num_workers"] = 7
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert read_run(folder).cell == first.cell

    broken = [read_run(whole(tmp_path / "broken", seed=seed)) for seed in (0, 1)]
    for run in broken:
        (run.folder / "config.yaml").write_text("model: 1\n")
    assert len({read_run(run.folder).cell for run in broken}) == 2
