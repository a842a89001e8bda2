"""DIS and its validity against motion that is known exactly: `python -m tests.benchmarks.bench_flow_truth`."""

import numpy as np

from datamodules.flow import estimate
from tests.datamodules.exact_motion import Exact, puppets, shapes

MOVING = 0.5  # pixels from which a point counts as moving


def row(name: str, exact: Exact) -> str:
    """One line of the table; errors and lengths in pixels, over points that move and are seen in the next frame."""
    found = [estimate(clip) for clip in exact.video]
    flow, valid = (np.stack([getattr(f, key) for f in found]) for key in ("forward", "valid"))
    error, length = (np.hypot(*np.moveaxis(x, 1, 0)) for x in (flow - exact.flow, exact.flow))
    moving = (length > MOVING) & exact.valid
    numbers = (length[moving].mean(), error[moving].mean(), np.median(error[moving]), error[moving & valid].mean())
    shares = (valid[moving].mean(), valid[exact.valid].mean(), (~valid)[~exact.valid].mean())
    return f"| {name} | {' | '.join(f'{x:.2f}' for x in numbers)} | {' | '.join(f'{100 * x:.0f} %' for x in shares)} |"


def main() -> None:
    """Prints the table, 8 clips of 16 frames each."""
    print("| clips | mean flow | error | median | error where valid | valid: moving | seen | not valid: hidden |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in (64, 128, 256):
        for fps in (12.5, 25, 50):
            print(row(f"puppets, {size} pixels, {fps:g} fps", puppets(8, 16, size, fps)))
        print(row(f"shapes, {size} pixels", shapes(8, 16, size)))


if __name__ == "__main__":
    main()
