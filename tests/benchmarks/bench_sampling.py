"""Clips a second and peak memory of methods: `python -m tests.benchmarks.bench_sampling METHOD ... [--batch 16]`.

Methods are packaged configs: `*_cpu` on their own data, others at 64 pixels, of 32 frames (VGAN) or 16. One thread.

Memory is the process's high-water mark (VmHWM of Linux), each case in a process of its own: it counts what torch's
profiler does not see, such as the scratch buffers of oneDNN and what the allocator keeps, and is what a job is killed
for. Beside it stands how much of it came after the networks were built; the rest is the interpreter and libraries.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from lightning_modules.contract import ClipNoise
from tests.benchmarks.bench_training import Clock
from tests.helpers.built import build_only

STEPS, ROUNDS = 5, 5  # of which Clock passes over the first two steps, and sampling over the first round
LONG = ("vgan", "vgan_one_stream")


def resident(kind: str) -> float:
    """MB of this process: `VmRSS` now, `VmHWM` at most so far."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def built(method: str, batch: int, runs: Path) -> Any:
    """The parts of `fit` for a config."""
    argv = ["--data.batch_size", str(batch), "--trainer.max_steps", str(STEPS)]
    argv += ["--trainer.enable_progress_bar", "false"]
    if not method.endswith("_cpu"):
        frames = ("32", "1") if method in LONG else ("16", "2")
        argv += ["--data", "datamodules.synthetic.shape_motion.ShapeMotion", "--data.size", "64"]
        argv += ["--data.frames", frames[0], "--data.stride", frames[1]]
    if method.startswith("mocogan") and "image_to_video" not in method:
        argv += ["--model.image_batch", str(batch)]
    return build_only(method, runs, *argv)


def train(cli: Any) -> float:
    """CPU seconds of a step."""
    cli.folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(profiled=False)
    cli.trainer.callbacks.insert(0, clock)
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    return statistics.median(clock.cpu)


def sample(cli: Any, batch: int) -> float:
    """CPU seconds a clip."""
    method, data = cli.model.eval(), cli.datamodule
    drawn, taken = data.eval_batch("val", range(batch), data.frames, data.stride, 0), []
    for number in range(ROUNDS):
        start = time.process_time()
        method.sample(drawn, ClipNoise(number, torch.arange(batch)))
        taken.append((time.process_time() - start) / batch)
    return statistics.median(taken[1:])


def case(what: str, method: str, batch: int) -> None:
    """Measures in this process and prints JSON: seconds, MB at most, MB before anything ran."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as runs:
        cli = built(method, batch, Path(runs))
        before = resident("VmRSS")
        seconds = train(cli) if what == "train" else sample(cli, batch)
        print(json.dumps([seconds, resident("VmHWM"), before]))


def main(argv: list[str]) -> None:
    """Prints a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--case", choices=("train", "sample"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.case:
        case(args.case, args.methods[0], args.batch)
        return
    print("| method | clips/s | sampling, MB (of its own) | CPU s a step | training, MB (of its own) |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for method in args.methods:
        cells = []
        for what in ("sample", "train"):
            command = [sys.executable, "-m", __spec__.name, method, "--batch", str(args.batch), "--case", what]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, most, before = json.loads(told.splitlines()[-1])
            cells += [f"{1 / seconds if what == 'sample' else seconds:.3g}", f"{most:.0f} ({most - before:.0f})"]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
