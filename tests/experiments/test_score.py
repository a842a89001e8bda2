import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import cli
from experiments.score.names import ALIASES, METRICS, build
from metrics.base import VideoMetric
from metrics.content import AverageContentDistance
from metrics.features.i3d import I3D
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance
from metrics.novelty import Diversity
from metrics.pixel import L1, PSNR, SSIM
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from metrics.weights import CATALOGUE
from metrics.weights import folder as weights_folder
from tests.datamodules.strip_files import save_strip
from tests.experiments.score_files import FRAMES, clip, entries, first, refused, two_folders, write
from tests.experiments.score_files import own_cache as own_cache
from tests.metrics.array_data import ArrayData, numbered

ROOT = Path(__file__).parents[2]
NAMES = "ssim,psnr,l1,frechet_random,frechet_frame_random,diversity,acd_color"


def in_memory(fake: torch.Tensor, real: torch.Tensor, at_once: int, *more: VideoMetric) -> dict[str, Any]:
    """What training's suite gives for the same clips."""
    level = (FrechetDistance(RandomFeatures("clip")), FrechetDistance(RandomFeatures("frame")))
    metrics: list[VideoMetric] = [SSIM(), PSNR(), L1(), *level, Diversity(), AverageContentDistance(), *more]
    suite = MetricSuite({m.name: m for m in metrics})
    data = ArrayData(train=real, val=real)
    suite.prepare(data, ProtocolSettings(n_real=len(real), n_fake=len(fake)).resolve(data))
    for start in range(0, max(len(fake), len(real)), at_once):
        chosen = range(start, min(start + at_once, max(len(fake), len(real))))
        suite.update(fake[start : start + at_once], real[start : start + at_once], numbered(*chosen))
    return {name: result.as_dict() for name, result in suite.results().items()}


def test_saved_clips_score_as_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 5, ".mkv")
    found = entries(capsys, real, fake, "--metrics", NAMES)
    made, truth = (first([clip(start + n) for n in range(5)]) for start in (100, 0))
    expected, together = in_memory(made, truth, 1), in_memory(made, truth, 5)
    assert list(found) == list(expected)
    for name, entry in found.items():
        theirs = expected[name]
        same = {"value": entry["value"], "standard_error": entry["stderr"], "fingerprint": entry["fingerprint"]}
        assert same == {key: theirs[key] for key in same}, name
        assert entry["value"] == pytest.approx(together[name]["value"], rel=1e-5), name
        assert (entry["n_real"], entry["n_fake"]) == (theirs["n_real"], theirs["n_fake"])
        assert entry.get("curve") == theirs.get("curve")


I3D_HERE = bool(os.environ.get("REELBENCH_WEIGHTS")) and (weights_folder() / CATALOGUE["i3d"].file).is_file()
WITH_I3D = pytest.mark.skipif(not I3D_HERE, reason="REELBENCH_WEIGHTS is not set to a folder with the weights i3d")


@pytest.mark.slow
@WITH_I3D
def test_fvd_is_that_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2, ".mkv")
    found = entries(capsys, real, fake, "--metrics", "fvd")["fvd"]
    expected = in_memory(first([clip(100), clip(101)]), first([clip(0), clip(1)]), 1, FrechetDistance(I3D()))
    assert found["value"] == expected["fvd"]["value"] and found["note"] == "fewer than 400 dims: 2 clips"


@pytest.mark.slow
@WITH_I3D
def test_fvd_of_black_and_white_videos_is_tensorflows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What Google's code prints for black against white clips of 30 frames; copies change no moments."""
    for side, level in (("real", 0), ("fake", 255)):
        write(tmp_path / side, {f"{n}.mkv": np.full((30, 24, 24, 3), level, np.uint8) for n in range(2)})
    found = entries(capsys, tmp_path / "real", tmp_path / "fake", "--frames=30")["fvd"]
    assert found["value"] == pytest.approx(151.39244, abs=1e-3)


def test_any_kind_of_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 4)
    expected = entries(capsys, real, fake, "--metrics", "ssim,frechet_random")
    write(tmp_path / "mixed", {"000.mkv": clip(100)})
    np.savez(tmp_path / "mixed" / "001.npz", video=clip(101))
    save_strip(tmp_path / "mixed" / "strips" / "002.png", clip(102))  # beside videos a picture is no video
    (tmp_path / "mixed" / "003").mkdir()
    for t, frame in enumerate(clip(103)):
        Image.fromarray(frame).save(tmp_path / "mixed" / "003" / f"{t}.png")
    found = entries(capsys, real, tmp_path / "mixed", "--metrics", "ssim,frechet_random")
    for name in expected:
        assert found[name]["n"] == 4 and found[name]["value"] == pytest.approx(expected[name]["value"], rel=1e-12), name
        assert found[name]["key"] == expected[name]["key"]


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"truth.npy": clip(0), "made.mkv": clip(1)})
    found = entries(capsys, tmp_path / "truth.npy", tmp_path / "made.mkv", "--metrics", "ssim,frechet_random")
    assert found["ssim"]["value"] == in_memory(first([clip(1)] * 2), first([clip(0)] * 2), 2)["ssim"]["value"]
    assert (found["ssim"]["n"], found["ssim"]["stderr"]) == (1, None)
    assert found["frechet[random]"]["value"] is None
    assert found["frechet[random]"]["reason"] == "needs at least 2 clips of each kind, got 1 generated and 1 real"


def test_json_is_all_that_standard_output_has(tmp_path: Path) -> None:
    real, fake = two_folders(tmp_path, 2)
    (fake / "001.npy").write_bytes(b"no array")
    write(fake, {"lone.npy": clip(7)})
    words = ["score", real, fake, "--metrics", "ssim,lpips", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert [entry["metric"] for entry in results] == ["ssim", "lpips[alex]"]
    assert {"metric", "value", "stderr", "n", "n_real", "n_fake", "reason", "note", "notes", "key"} <= set(results[0])
    assert {"protocol", "fingerprint", "extractor", "resize", "skipped", "unpaired"} <= set(results[0])
    assert results[0]["unpaired"] == {"real": [], "fake": ["lone.npy"]}
    assert results[0]["skipped"][0]["side"] == "fake" and results[0]["skipped"][0]["file"] == "001.npy"
    assert "warning: 1 generated videos have no partner of their name: lone.npy" in done.stderr
    assert "warning: 1 of 2 generated videos are skipped:\n  001.npy: " in done.stderr


def test_the_table_names_conditions_and_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    assert cli.main(["score", str(real), str(fake), "--metrics", "psnr,frechet_random,fvd", "--size=12"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["metric", "value", "±", "se", "real", "generated"]
    assert lines[1].startswith("psnr ") and lines[1].split()[3:] == ["3", "3"]
    assert lines[2].endswith("fewer than 128 dims: 3 clips")
    if not I3D_HERE:
        assert lines[3].split(maxsplit=2) == ["fvd", "none", "weights missing: reelbench weights fetch i3d"]
    assert any("16 frames, stride 1, windows: first, swscale area" in line and "to 12x12" in line for line in lines)
    assert "note       3 of 3 real videos, such as 000.npy (24x24), were resized to 12x12" in lines
    assert "note       3 of 3 generated videos are longer: only their first clip counts (windows: first)" in lines


def test_lossy_videos_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from datamodules.media import write_mp4

    real, _ = two_folders(tmp_path, 2, ".mkv")
    for n in range(2):
        write_mp4(tmp_path / "mp4" / f"{n:03}.mp4", clip(n), scale=1)
    told = entries(capsys, real, tmp_path / "mp4", "--metrics", "ssim")["ssim"]["notes"]
    lossy = [note for note in told if "with loss" in note]
    assert lossy == ["2 of 2 generated videos were compressed with loss (h264 yuv420p), which moves every metric"]


def test_no_value_at_all_is_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path / "none"))
    real, fake = two_folders(tmp_path, 2)
    found = entries(capsys, real, fake, "--metrics", "fvd,lpips", code=1)
    assert found["fvd"]["reason"] == "weights missing: reelbench weights fetch i3d"
    assert found["fvd"]["extractor"].startswith("i3d clip values sha256")
    assert found["lpips[alex]"]["value"] is None
    assert found["lpips[alex]"]["reason"] == "weights missing: reelbench weights fetch alexnet"
    assert entries(capsys, real, fake, "--metrics", "fvd,ssim")["ssim"]["value"] is not None


def test_every_short_name_builds_the_metric_of_its_name() -> None:
    for name, spec in METRICS.items():
        metric = build(name, spec)
        assert metric.name == name and not metric.needs
    assert set(ALIASES.values()) <= set(METRICS)


def test_metrics_of_one_network_read_each_clip_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"frechet[random]": "frechet.FrechetDistance", "kernel[random]": "kernel_distance.KernelDistance",
             "precision[random]": "precision_recall.Precision"}  # fmt: skip
    extractor = {"class_path": "metrics.features.random.RandomFeatures"}
    metrics = {n: {"class_path": f"metrics.{c}", "init_args": {"extractor": extractor}} for n, c in names.items()}
    (tmp_path / "p.yaml").write_text(json.dumps({"evaluate": {"metrics": metrics}}))
    seen: list[int] = []
    features = RandomFeatures.features

    def counted(self: RandomFeatures, clips: torch.Tensor) -> torch.Tensor:
        seen.append(len(clips))
        return features(self, clips)

    monkeypatch.setattr(RandomFeatures, "features", counted)
    real, fake = two_folders(tmp_path, 5)
    found = entries(capsys, real, fake, "--protocol", str(tmp_path / "p.yaml"))
    assert set(found) == set(names) and all(entry["value"] is not None for entry in found.values())
    assert sum(seen) == 10


def test_too_short_for_one_metric_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3, frames=1)
    found = entries(capsys, real, fake, "--metrics", "frechet_random,frechet_frame_random", "--frames=1")
    assert found["frechet[random]"]["reason"].startswith("frechet[random] needs clips of at least 2 frames, found 1")
    assert found["frechet_frame[random]"]["value"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "ssmi"], "--metrics: there is no metric 'ssmi'; did you mean ssim?"),
        (["--metrics", "frechet_randm"], "did you mean frechet_random?"),
        (["--metrics", "qqq"], "there is no metric 'qqq'; there are lpips, fvd, fvd_infinity, kvd"),
        (
            ["--protocol", "tfgan_ref"],
            "--protocol tfgan_ref: no such file or packaged protocol; did you mean tfgan_reference?",
        ),
        (["--frames", "0"], "frames must be a whole number from 1 on, found 0"),
        (["--size", "6y6"], "size is a side, such as 64, or height x width, such as 64x96; found '6y6'"),
        (["--context", "16"], "context must lie in 0..15 of 16 frames, found 16"),
        (["--threads", "0"], "--threads must be at least 1, found 0"),
        (["--windows", "some"], "invalid choice: 'some'"),
        (["--device", "cuda:99"], "--device cuda:99"),
    ],
)
def test_mistakes(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(capsys, *two_folders(tmp_path, 2), *words)


def test_help_is_quick_and_documents_the_codes() -> None:
    code = (
        "import sys; from experiments.cli import main\ntry: main(['score', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'lightning', 'numpy', 'av'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "[]\n"  # so that what torch reads from the environment can still be set
    told = " ".join(done.stdout.split())
    assert "exit code: 0 at least one metric has a value, 1 none has one" in told and "frechet_random" in told


def test_threads_that_wait_do_not_spin(tmp_path: Path) -> None:
    """OpenMP reads the variable once, when torch is imported."""
    code = (
        "import os, sys\nclass Finder:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('OMP_WAIT_POLICY')); os._exit(0)\n"
        "sys.meta_path.insert(0, Finder())\nfrom experiments import cli\ncli.main(['score', 'a', 'b'])"
    )
    for given, expected in (({}, "passive\n"), ({"OMP_WAIT_POLICY": "active"}, "active\n")):
        env = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"} | given
        done = subprocess.run([sys.executable, "-u", "-c", code], cwd=ROOT, capture_output=True, text=True, env=env)
        assert done.stdout == expected, done.stderr


def test_the_page_for_users(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Its commands run, its protocol loads, and it names every key of an entry."""
    page = (ROOT / "docs" / "score.md").read_text(encoding="utf-8")
    two_folders(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    (commands,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    for line in commands.splitlines():
        assert cli.main(line.removeprefix("reelbench ").split()) == 0
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    capsys.readouterr()
    (entry,) = entries(capsys, "real", "fake", "--protocol", "mine.yaml", "--n-real=2", "--n-fake=2").values()
    assert entry["protocol"]["label"] == "mine" and entry["value"] is not None
    table = page.partition("| key of an entry |")[2].partition("\n\n")[0]
    named = [key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(named) == sorted(entry)


def test_length_of_the_test_videos() -> None:
    assert FRAMES > 16  # so that the first clip is a choice
