"""How fast puppets are drawn on one core: `python -m tests.benchmarks.bench_puppet [CLIPS]`, run by hand.

CPU seconds of this process, the best of several rounds, motion included; a shared machine makes single rounds slow.
Floors at 64 pixels, one person, static camera: 2,000 frames a second with the flow forwards, 1,400 with both.
"""

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is loaded
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from datamodules.synthetic.puppet.store import CLIP_KEYS, PuppetStore

FORWARD = frozenset({"video", "pose", "labels", "mask", "flow", "flow_valid"})
KINDS = {"frames": frozenset({"video"}), "forward flow": FORWARD, "everything": CLIP_KEYS}
ROUNDS, FRAMES = 10, 16
SETTINGS: tuple[tuple[tuple[int, int], dict[str, Any]], ...] = (
    ((64, 64), {}),
    ((64, 64), {"camera": "pan"}),
    ((64, 64), {"persons": 2}),
    ((128, 64), {}),
    ((128, 128), {}),
    ((256, 256), {}),
)


def rate(puppets: PuppetStore, keys: frozenset[str], clips: int) -> float:
    """Frames a CPU second."""
    rng, best = np.random.default_rng(0), float("inf")
    for _ in range(ROUNDS):
        videos = rng.integers(0, len(puppets.names), clips)
        frames = rng.integers(0, 40, (clips, 1)) + np.arange(FRAMES)
        start = time.process_time()
        puppets.tracks(videos, frames, keys)
        best = min(best, time.process_time() - start)
    return clips * FRAMES / best


def main(clips: int = 16) -> None:
    print(
        "frames per CPU second, motion included\n"
        + "size      setting            "
        + "".join(f"{k:>14}" for k in KINDS)
    )
    for size, setting in SETTINGS:
        puppets = PuppetStore("train", 200, size=size, **setting)
        rates = [rate(puppets, keys, max(1, clips * 64 * 64 // max(size) ** 2)) for keys in KINDS.values()]
        print(f"{size[0]:>3}x{size[1]:<4}  {setting!s:<19}" + "".join(f"{r:>14,.0f}" for r in rates))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
