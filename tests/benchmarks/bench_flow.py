"""Error and speed of the flow estimate on exact warps: `python -m tests.benchmarks.bench_flow`."""

import time

from datamodules.flow import estimate, opencv
from tests.datamodules.test_flow import MEAN, error, pair

ROUNDS = 7


def main() -> None:
    """Prints the table: both directions and validity of one pair, one thread."""
    opencv().setNumThreads(1)
    print("| frame | estimated at | mean flow | EPE translation / rotation / zoom / smooth | valid | CPU ms a pair |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in MEAN:
        for least in (16, 128, 256):
            if least in (128, 256) and size >= least:
                continue
            errors, valid, seconds = [], [], []
            for kind in ("translation", "rotation", "zoom", "smooth"):
                frames, exact = pair(kind, size)
                for _ in range(ROUNDS):
                    start = time.process_time()
                    flow = estimate(frames, least)
                    seconds.append(time.process_time() - start)
                errors.append(error(flow.forward[:, 0], exact).mean())
                valid.append(flow.valid.mean())
            shown = " / ".join(f"{value:.3f}" for value in errors)
            row = (f"{size}", f"{max(size, least)}", f"{MEAN[size]} px", shown, f"{min(valid):.2f}-{max(valid):.2f}")
            print(f"| {' | '.join(row)} | {1e3 * min(seconds):.1f} |")


if __name__ == "__main__":
    main()
