"""What SVG saves, and how much of a step is arithmetic: `python -m tests.benchmarks.bench_svg [config ...]`.

CPU seconds of one thread, at the config's sizes and a batch of 8: the training step against the same step with the
loop word for word, inner frames encoded twice (`tests/helpers/svg_loop.py`); 20 futures of one clip at once against 20
times one. Both pairs must give the same.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from lightning_modules.contract import ClipNoise
from lightning_modules.svg.module import SVG
from lightning_modules.svg.networks import Forecast
from tests.helpers.built import model_args
from tests.helpers.svg_loop import literal_pass

BATCH, ROUNDS, FUTURES = 8, 5, 20
PREDICT: dict[str, Any] = {"frames": 15, "context": 5}  # where the config leaves them to the data


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def training(method: SVG) -> tuple[list[float], list[float], float]:
    """CPU seconds of steps of ours and of the literal loop, in turns; operators' self time over wall time of ours."""
    method.train()
    optimizer = method.configure_optimizers()
    video = torch.rand(BATCH, method.channels, method.frames, method.size, method.size)
    eps = torch.randn(1, BATCH, method.frames - 1, method.generator.z_dim)

    def ours() -> Forecast:
        return method.generator(video, eps, method.context)

    def literal() -> Forecast:
        return literal_pass(method.generator, video, eps[0], method.context)

    torch.testing.assert_close(ours().video, literal().video, atol=1e-4, rtol=0)

    def step(made: Callable[[], Forecast]) -> Callable[[], object]:
        def run() -> None:
            optimizer.zero_grad()
            method.loss(made(), video)[0].backward()
            optimizer.step()

        return run

    seconds(step(ours)), seconds(step(literal))  # warm
    pairs = [(seconds(step(ours)), seconds(step(literal))) for _ in range(ROUNDS)]
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        for _ in range(3):
            step(ours)()
        wall = time.perf_counter() - start
    operators = sum(e.self_cpu_time_total for e in profiler.key_averages()) / 1e6
    return [a for a, _ in pairs], [b for _, b in pairs], operators / wall


def sampling(method: SVG) -> tuple[list[float], list[float]]:
    """CPU seconds of `FUTURES` futures of one clip, at once and one by one."""
    method.eval()
    context = torch.rand(1, method.channels, method.context, method.size, method.size) * 2 - 1

    def noises() -> list[ClipNoise]:
        return [ClipNoise(0, torch.tensor([0]), k) for k in range(FUTURES)]

    def at_once() -> Tensor:
        return method.sample_many({"context": context}, noises())

    def one_by_one() -> Tensor:
        return torch.stack([method.sample({"context": context}, noise) for noise in noises()])

    torch.testing.assert_close(at_once(), one_by_one(), atol=1e-5, rtol=0)
    pairs = [(seconds(at_once), seconds(one_by_one)) for _ in range(ROUNDS)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def main(configs: list[str]) -> None:
    """Prints a row for each config."""
    torch.set_num_threads(1)
    print("| config | step | literal loop | times as fast | operators | futures at once | one by one | times as fast |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for config in configs or ["svg"]:
        torch.manual_seed(0)
        method = SVG(**{**model_args(config)[1], **PREDICT})
        ours, literal, share = training(method)
        at_once, one_by_one = sampling(method)
        cells = [config]
        for fast, slow in ((ours, literal), (at_once, one_by_one)):
            ratios = sorted(b / a for a, b in zip(fast, slow, strict=True))
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            cells += [f"{statistics.median(fast):.3f}", f"{statistics.median(slow):.3f}", spread]
        cells.insert(4, f"{share:.3f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
