"""How far a puppet's frame is from its neighbour warped by the flow: `python -m tests.benchmarks.bench_puppet_warp`.

Mean difference in 1/255 inside parts, on valid pixels, both ways, beside the difference without warping.
"""

from typing import Any

import numpy as np

from datamodules.synthetic.puppet.store import PuppetStore
from tests.datamodules.puppet.test_puppet_flow import warp_error

KEYS = frozenset({"video", "labels", "instances", "flow", "flow_valid", "flow_back", "flow_back_valid"})
CLIPS = {64: 300, 128: 150, 256: 50}
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"camera": "pan"},
    {"persons": 2},
    {"camera": "pan", "persons": 2},
    {"texture": "smooth"},
)
CHUNK = 50  # clips at a time


def measured(size: int, setting: dict[str, Any]) -> tuple[float, float, int]:
    """Warped, still, and pixels looked at."""
    count = CLIPS[size]
    store = PuppetStore("train", count, size=(size, size), identities=(100, 1, 1), **setting)
    found = []
    for start in range(0, count, CHUNK):
        videos = np.arange(start, min(start + CHUNK, count))
        truth = store.tracks(videos, np.tile(np.arange(3) + 3, (len(videos), 1)), KEYS)
        found += [warp_error(truth, way) for way in ("", "_back")]
    warped, still, pixels = np.array(found).T
    return float(np.average(warped, weights=pixels)), float(np.average(still, weights=pixels)), int(pixels.sum())


def main() -> None:
    """Prints the table."""
    print(f"{'size':>4}  {'setting':<36}{'warped':>8}{'still':>8}{'pixels':>11}")
    for size in CLIPS:
        for setting in SETTINGS:
            warped, still, pixels = measured(size, setting)
            print(f"{size:>4}  {setting!s:<36}{warped:>8.2f}{still:>8.2f}{pixels:>11,}", flush=True)


if __name__ == "__main__":
    main()
