"""What a training step costs and how much of it is arithmetic: `python -m tests.benchmarks.bench_training METHOD ...`.

Methods are packaged configs at 64 pixels and 16 frames; `--data.batch_size`, `--model.ngf` and the like may follow.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.profiler import ProfilerActivity, profile

from tests.helpers.built import build_only

STEPS, WARM = 12, 2
ON_SHAPES = ["--data", "datamodules.synthetic.shape_motion.ShapeMotion"]
ON_SHAPES += ["--data.size", "64", "--data.frames", "16", "--data.stride", "2"]


class Clock(L.Callback):
    """CPU and wall seconds of every `training_step`, and operators' self time over those after the first."""

    def __init__(self, profiled: bool) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.profiler = profile(activities=[ProfilerActivity.CPU]) if profiled else None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.profiler is not None and batch_idx == WARM:
            self.profiler.start()
        self.start = time.process_time(), time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx >= WARM:
            self.cpu.append(time.process_time() - self.start[0])
            self.wall.append(time.perf_counter() - self.start[1])
        if self.profiler is not None and batch_idx == STEPS - 1:
            self.profiler.stop()


def measure(method: str, options: list[str], profiled: bool) -> Clock:
    """Trains for `STEPS` steps and throws the run away."""
    with tempfile.TemporaryDirectory() as runs:
        argv = [*ON_SHAPES, *options, "--trainer.max_steps", str(STEPS), "--trainer.enable_progress_bar", "false"]
        cli = build_only(method, Path(runs), *argv)
        cli.folder.mkdir(parents=True, exist_ok=True)
        clock = Clock(profiled)
        cli.trainer.callbacks.insert(0, clock)  # Lightning calls the ends in the same order
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
        return clock


def main(argv: list[str]) -> None:
    """Prints a row for each method."""
    torch.set_num_threads(1)
    cut = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    print("| method | CPU seconds a step | operators' self time of the step |\n| --- | --- | --- |")
    for method in argv[:cut]:
        plain, seen = (measure(method, argv[cut:], profiled) for profiled in (False, True))
        assert seen.profiler is not None
        operators = sum(e.self_cpu_time_total for e in seen.profiler.key_averages()) / 1e6
        print(f"| {method} | {statistics.median(plain.cpu):.3f} | {operators / sum(seen.wall):.3f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
