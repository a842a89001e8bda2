"""Trajectories a core-second of a BAIR-like file: `python -m tests.benchmarks.bench_tfrecord`."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datamodules.bair import BairReader
from datamodules.crc32c import crc32c
from datamodules.tfrecord import Record, count_records, read_records
from tests.datamodules.tfrecord_files import Values, example, write

RECORDS, ROUNDS = 4, 8


def best(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest call."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def trajectory(seed: int) -> bytes:
    """Both cameras, action and position of 30 steps."""
    rng = np.random.default_rng(seed)
    out: dict[str, Values] = {}
    for step in range(30):
        for camera in ("image_main", "image_aux1"):
            out[f"{step}/{camera}/encoded"] = [rng.integers(0, 256, 64 * 64 * 3, dtype=np.uint8).tobytes()]
        out[f"{step}/action"] = rng.normal(size=4).astype(np.float32)
        out[f"{step}/endeffector_pos"] = rng.normal(size=3).astype(np.float32)
    return example(out)


def main() -> None:
    """Prints the rates."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"traj_0_to_{RECORDS - 1}.tfrecords"
        write(path, [trajectory(seed) for seed in range(RECORDS)])
        records = list(read_records(path))
        data = records[0].data
        seconds = best(lambda: crc32c(data))
        print(f"record of {len(data):,} bytes; checksum {1e3 * seconds:.2f} ms, {len(data) / seconds / 1e6:.0f} MB/s")
        print(f"protobuf {1e3 * best(lambda: Record.features(records[0])):.2f} ms a trajectory")
        print(
            f"file to frames, checksums verified: {RECORDS / best(lambda: BairReader('image_aux1').read(path)):.0f}/s"
        )
        print(f"counting by headers: {1e6 * best(lambda: count_records(path)) / RECORDS:.0f} us a trajectory")


if __name__ == "__main__":
    main()
