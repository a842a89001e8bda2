"""Frames a core-second of moving digits: `python -m tests.benchmarks.bench_moving_digits`."""

import time
from collections.abc import Callable

import numpy as np
import torch

from datamodules.synthetic.digit_pool import digit_pool
from datamodules.synthetic.glyphs import drawn_digits
from datamodules.synthetic.moving_digits import MovingDigits

CLIPS, FRAMES, ROUNDS = 100, 15, 20


def best(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the fastest call."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    drawn_digits.cache_clear()
    print(f"drawing 5,000 glyphs: {best(lambda: digit_pool('drawn', 'train', 0), 1):.2f} CPU s")
    print("| rule | stochastic | size | channels | rendered frames/s | as a batch |")
    print("| --- | --- | --- | --- | --- | --- |")
    videos, frames = np.arange(CLIPS), np.tile(np.arange(FRAMES), (CLIPS, 1))
    for rule, stochastic, size, channels in (
        ("svg", True, 64, 1),
        ("svg", True, 64, 3),
        ("svg", False, 64, 1),
        ("svg", True, 32, 1),
        ("svg", True, 128, 1),
        ("srvp", True, 64, 1),
        ("srvp", False, 64, 1),
    ):
        data = MovingDigits(size=size, rule=rule, stochastic=stochastic, channels=channels)  # type: ignore[arg-type]
        store = data.store("train")
        rendered = CLIPS * FRAMES / best(lambda s=store: s.gather(videos, frames))  # type: ignore[misc]
        batch = CLIPS * FRAMES / best(lambda d=data: d.batch("train", videos, frames, videos))  # type: ignore[misc]
        print(f"| {rule} | {stochastic} | {size} | {channels} | {rendered:,.0f} | {batch:,.0f} |")


if __name__ == "__main__":
    main()
