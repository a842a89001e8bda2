"""`reelbench demo`: train, re-score, rank and look, offline and in minutes on two cores."""

import argparse
import shutil
import time
from datetime import datetime
from pathlib import Path

from datamodules.jsonfile import read_json
from experiments import leaderboard
from experiments.report import page
from experiments.zoo.build import CLIPS, OFF, PROTOCOL, SMALL, entries, scored

STEPS, SHORT_STEPS = 600, 12
REFERENCES = ("copy_clip", "noise")


def main(argv: list[str]) -> int:
    """`reelbench demo [--short] [--out DIR]`."""
    parser = argparse.ArgumentParser("reelbench demo", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a dozen training steps: to see that everything runs")
    parser.add_argument("--out", type=Path, help="new folder of runs; by default runs/demo-TIME")
    args = parser.parse_args(argv)
    out: Path = args.out or Path("runs") / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    started = time.monotonic()
    train(out, SHORT_STEPS if args.short else STEPS)
    for folder in entries():
        rescore(folder, out)
    for name in REFERENCES:
        reference(name, out)
    _say("The leaderboard. Zoo entries were trained for longer than the run of this demo.")
    leaderboard.main([str(out)])
    target = out / "report.html"
    page.main([str(out), "-o", str(target), "--title", "Reelbench demo"])
    _say(f"{time.monotonic() - started:.0f} s in all. Open {target.resolve().as_uri()}")
    return 0


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def train(out: Path, steps: int) -> None:
    """MoCoGAN from scratch on generated shapes."""
    from experiments.run import main as run

    _say(f"Training MoCoGAN from scratch on moving shapes, {steps} steps")
    recipe = ["--config", "method/mocogan_cpu", "--config", "trainer/cpu", "--name", "mocogan_demo", "--scale", "cpu"]
    recipe += ["--trainer.max_steps", str(steps), "--trainer.enable_model_summary", "false", "--runs", str(out), *OFF]
    run("fit", [*recipe, "--samples.every", str(steps), "--samples.n", str(CLIPS)])
    run("test", [*recipe, *PROTOCOL, *SMALL])


def rescore(folder: Path, out: Path) -> None:
    """Scores a zoo entry's weights again, beside the scores that are stored with it."""
    from experiments.run import main as run

    _say(f"Zoo entry {folder.name}: sampling 64 clips and scoring them again")
    before = set(out.glob("*/results.json"))
    run("test", [*scored(folder / "weights.safetensors", folder.name), *PROTOCOL, *SMALL, "--runs", str(out)])
    (results,) = set(out.glob("*/results.json")) - before
    shutil.copytree(folder / "samples", results.parent / "samples")
    for part in ("status.json", "metrics.csv"):
        shutil.copy(folder / part, results.parent / part)
    stored = read_json(folder / "results.json")["results"]
    for key, entry in read_json(results)["results"].items():
        for name, value in entry["values"].items():
            kept = stored.get(key, {}).get("values", {}).get(name, {}).get("value")
            print(
                f"  {name}: {value['value']:.5g} now, " + ("nothing stored" if kept is None else f"{kept:.5g} stored")
            )


def reference(name: str, out: Path) -> None:
    """A row to read the others against."""
    from experiments.run import main as run

    _say(f"Reference row {name}")
    recipe = ["--config", f"method/{name}", "--config", "trainer/cpu", "--trainer.max_steps", "1", "--scale", "cpu"]
    recipe += ["--config", "data/shape_motion", "--data.init_args.size", "32", "--data.init_args.batch_size", "16"]
    recipe += ["--runs", str(out), *OFF]
    run("fit", recipe)
    run("test", [*recipe, *PROTOCOL, *SMALL])
    run("sample", [*recipe, "--n", str(CLIPS)])
