import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from experiments.board import build
from experiments.cli import main
from experiments.report.clips import is_whole, read_clips
from experiments.report.curves import POINTS, charts, read_curves, thin
from experiments.report.page import render
from experiments.runs import read_runs
from tests.experiments.run_folders import NOW, QUICK, number, score, write_clip, write_curves, write_run

VOID = {"meta", "link", "br", "img", "input", "hr"}
EVIL = "</script><script>alert(1)</script>\"'&"
CLIP = re.compile(r"data:video/mp4;base64,[\w+/=]+")


class Page(HTMLParser):
    """Text, attributes and scripts of a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(root: Path, title: str = "A title", clips: int = 8) -> str:
    return render(build(read_runs([root], NOW)), title, clips)


def clips(folder: Path, where: str, count: int, hue: int = 0) -> Path:
    for i in range(count):
        write_clip(folder / "samples" / where / f"{i:05d}.mp4", hue=hue + 20 * i, frames=3)
    return folder / "samples" / where


def scored(root: Path, name: str, value: float = 3.0, **over: object) -> Path:
    return write_run(root, name, score(QUICK, number(QUICK, "acd", value, 0.1)), **over)  # type: ignore[arg-type]


def test_loads_nothing_from_anywhere(tmp_path: Path) -> None:
    folder = scored(tmp_path, "mocogan")
    clips(folder, "step-00000010", 2)
    write_curves(folder, [(0, "train/generator", 1.0), (1, "train/generator", 0.5)])
    text = page(tmp_path)
    assert not re.search(r"https?:|//\w|url\(|@import|\bfetch\(|XMLHttp|WebSocket|import\(", CLIP.sub("", text))
    found = Page(text)
    loaded = [a[key] for _, a in found.tags for key in ("src", "href", "srcset", "data", "action") if a.get(key)]
    assert loaded and all(re.match(r"data:|#", str(address)) for address in loaded)
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not any(key == "style" or key.startswith("on") for _, a in found.tags for key in a)


def test_every_string_is_escaped(tmp_path: Path) -> None:
    evil = replace(QUICK, label=EVIL, data=EVIL, resize=EVIL)
    entry = score(evil, weights=EVIL, code_version=EVIL)
    entry["values"] = {EVIL: number(evil, EVIL, 1.0, note=f"note {EVIL}", settings=EVIL)}
    folder = write_run(tmp_path, "evil", entry, tags=[EVIL], data=EVIL, scale=EVIL, code_version=EVIL)
    results = json.loads((folder / "results.json").read_text()) | {"name": EVIL, "method": EVIL, "identity": EVIL}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.yaml").write_text(f"x: |\n  {EVIL}\n")
    write_curves(folder, [(0, EVIL, 1.0)])
    clips(folder, "<script>alert(1)<script>", 1)
    write_run(tmp_path, "failed", status={"state": "failed", "reason": EVIL, "host": EVIL})
    text = page(tmp_path, title=EVIL)
    assert "alert(1)" in text and "<script>alert" not in text
    found = Page(text)
    names = {name for _, a in found.tags for name in a}
    assert all(re.fullmatch("[a-z-]+", name) for name in names)  # no quote ended an attribute early
    assert [a for a in found.all("script")] == [{"type": "application/json", "id": "data"}, {}]
    shown = "".join(found.text)
    for what in (f"note {EVIL}", f"{EVIL} {EVIL}", f"x: |\n  {EVIL}", f"failed at step 1500 of 1500: {EVIL}"):
        assert what in shown
    (chart,) = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))  # type: ignore[union-attr]
    assert chart["title"] == EVIL and chart["lines"][0]["label"] == EVIL


def test_page_is_well_formed_with_everything_on_it(tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = scored(tmp_path, "mocogan", 3.0 + seed, seed=seed)
        clips(folder, "step-00000010", 2)
        clips(folder, "real", 2, hue=90)
    scored(tmp_path, "copy", 0.5, reference=True)
    write_run(tmp_path, "tgan", score(QUICK, number(QUICK, "fvd", None, note="weights missing: fetch them")))
    write_run(tmp_path, "svg", status={"state": "running", "step": 3})
    (tmp_path / "junk").mkdir()
    found = Page(page(tmp_path))
    shown = " ".join("".join(found.text).split())
    for expected in (
        "A title",
        "6 runs: 4 in the tables; 1 lost; 1 unknown.",
        "shape_motion, val split",
        "3.50 ± 0.71 sd, n=2",
        "Reference, not ranked",
        "missing",
        "weights missing",
        "weights missing: fetch them",
        "Real clips come from the data set shape_motion",
        "lost at step 3 of 1500: no heartbeat since",
        "not a run folder: it holds none of",
        "Lower is better",
        "seed_everything: 1",
        "mocogan, seed 1",
    ):
        assert expected in shown, expected
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for a in found.all("a")}
    assert targets <= set(ids)
    assert len(found.all("video")) == 2 + 2 * 2  # the runs share their real clips
    assert all({"muted", "loop", "playsinline"} <= set(a) for a in found.all("video"))


def test_cells_carry_full_numbers_for_sorting(tmp_path: Path) -> None:
    scored(tmp_path, "mocogan", 3.123456789)
    write_run(tmp_path, "tgan", score(QUICK, number(QUICK, "ssim", 0.5, better=True)))
    found = Page(page(tmp_path))
    values = [a["data-value"] for a in found.all("td") if str(a.get("class", "")).startswith("number")]
    assert "3.123456789" in values and values.count("") == 3  # two numbers missing, one rank
    heads = [(a["data-kind"], a["data-first"]) for a in found.all("th") if "data-kind" in a]
    assert heads[2:4] == [("number", "ascending"), ("number", "descending")]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, out = tmp_path / "runs", tmp_path / "new" / "page.html"
    folder = scored(runs, "mocogan")
    clips(folder, "step-00000010", 3)
    assert main(["report", str(runs), "-o", str(out), "--title", "Ours", "--clips", "2"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "<title>Ours</title>" in text and len(Page(text).all("video")) == 2
    size = f"{out.stat().st_size / 1000:.1f} kB"
    assert capsys.readouterr().out == f"{out}: {size}, 1 run: 1 in the tables\n"
    assert f"This page is {size}" in text
    assert main(["report", str(runs), "-o", str(out), "--clips", "0"]) == 0
    assert "<video" not in out.read_text(encoding="utf-8")
    capsys.readouterr()
    for argv, message in (
        ([str(runs), "-o", str(runs)], "is a folder; name a file in it"),
        ([str(runs), "--clips", "-1"], "--clips -1: give 0 or more"),
        ([str(tmp_path / "nowhere")], "does not exist"),
        ([str(runs), "--sort", "adc"], "did you mean 'acd'?"),
    ):
        assert main(["report", *argv]) == 2
        assert message in capsys.readouterr().err


def test_newest_complete_samples(tmp_path: Path) -> None:
    for when, name in enumerate(("step-00000030", "seed-0", "step-00000040")):
        for clip in clips(tmp_path, name, 2).glob("*.mp4"):
            os.utime(clip, (1000 + when, 1000 + when))
    assert read_clips(tmp_path, 8).folder == "step-00000040"
    (tmp_path / "samples" / "seed-0" / "contact.png").touch()
    assert read_clips(tmp_path, 8).folder == "seed-0"  # the other is still being written
    assert [name for name, _ in read_clips(tmp_path, 1).fake] == ["00000"]
    assert read_clips(tmp_path, 0).fake == [] and read_clips(tmp_path / "nowhere", 8).fake == []


def test_real_clips_in_the_folder_or_beside_it(tmp_path: Path) -> None:
    clips(tmp_path, "step-00000030", 2)
    assert read_clips(tmp_path, 8).real == []
    clips(tmp_path, "real", 4, hue=90)
    beside = read_clips(tmp_path, 8)
    assert beside.folder == "step-00000030" and [name for name, _ in beside.real] == ["00000", "00001"]
    clips(tmp_path, "step-00000030/real", 2, hue=200)
    assert read_clips(tmp_path, 8).real_digest not in ("", beside.real_digest)


def test_other_real_clips_stand_apart(tmp_path: Path) -> None:
    for name, hue in (("mocogan", 0), ("tgan", 0), ("vgan", 90)):
        folder = scored(tmp_path, name)
        clips(folder, "step-00000010", 1, hue=120)
        clips(folder, "real", 1, hue=hue)
    clips(scored(tmp_path, "svg"), "step-00000010", 1)
    text = page(tmp_path)
    stages = text.split("<h3>shape_motion</h3>")[1:]
    assert [stage.count("<video") for stage in stages] == [1 + 3, 1 + 1]


def test_half_written_clip_is_named(tmp_path: Path) -> None:
    folder = clips(tmp_path, "step-00000010", 3)
    whole = (folder / "00001.mp4").read_bytes()
    (folder / "00001.mp4").write_bytes(whole[:-100])
    found = read_clips(tmp_path, 8)
    assert [name for name, _ in found.fake] == ["00000", "00002"]
    assert found.problems == ["step-00000010/00001.mp4 is not a whole mp4; it may still be being written"]
    assert is_whole(whole)
    for broken in (b"", whole[:4], whole[:50], whole + b"\0", whole[8:], b"\0" * 64, whole.replace(b"moov", b"free")):
        assert not is_whole(broken)


def test_thin_keeps_extremes_and_mean() -> None:
    steps = np.arange(10_000)
    values = np.sin(steps / 300.0)
    values[4321], values[8765] = 99.0, -55.0
    line = thin(steps, values)
    assert len(line["x"]) == len(line["y"]) == len(line["low"]) == len(line["high"]) == POINTS
    assert max(line["high"]) == 99.0 and min(line["low"]) == -55.0
    assert line["x"][-1] == 9999 and line["x"] == sorted(set(line["x"]))
    first = line["x"][0] + 1
    assert line["y"][0] == pytest.approx(values[:first].mean(), rel=1e-4)
    lengths = np.diff([-1, *line["x"]])
    assert np.dot(lengths, line["y"]) / 10_000 == pytest.approx(values.mean(), rel=1e-3)
    short = thin(steps[:POINTS], values[:POINTS])
    assert set(short) == {"x", "y"} and short["y"] == pytest.approx(values[:POINTS], rel=1e-4)


def test_curves_of_a_damaged_log(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b'step,name,value\n0,a,1.5\n1,"a,b",2.5\n2,a,nan\n3,a\n\x00\x00x,a,1\n4,a,3.')
    problems: list[str] = []
    curves = read_curves(path, problems)
    assert curves["a,b"] == [(1, 2.5)] and [step for step, _ in curves["a"]] == [0, 2, 4]
    assert problems == ["metrics.csv: 2 unreadable lines left out of the curves"]
    assert read_curves(tmp_path / "absent.csv", problems) == {} and len(problems) == 1


def test_charts_compare_metrics_but_not_losses(tmp_path: Path) -> None:
    other = replace(QUICK, n_fake=128)
    for name, protocol in (("mocogan", QUICK), ("tgan", replace(QUICK, label="renamed")), ("vgan", other)):
        rows = [(0, "train/generator", 1.0), (1, "train/generator", float("inf")), (9, protocol.key("acd", "acd"), 3.0)]
        write_curves(write_run(tmp_path, name), rows)
    runs = read_runs([tmp_path], NOW)
    problems: dict[Path, list[str]] = {run.folder: [] for run in runs}
    drawn = charts([(run, {"label": run.name}) for run in runs], problems)
    shown = {(c["title"], c["of"]): [line["label"] for line in c["lines"]] for c in drawn}
    assert shown == {
        ("val/acd", f"quick-{QUICK.number_hash('acd')}"): ["mocogan", "tgan"],
        ("val/acd", f"quick-{other.number_hash('acd')}"): ["vgan"],
        ("train/generator", "mocogan"): ["mocogan"],
        ("train/generator", "tgan"): ["tgan"],
        ("train/generator", "vgan"): ["vgan"],
    }
    assert all(found == ["train/generator: 1 value not finite, left out of the curve"] for found in problems.values())
    assert drawn[-1]["lines"][0]["x"] == [0]
