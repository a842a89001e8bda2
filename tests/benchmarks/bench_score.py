"""What `reelbench score` costs beside decoding: python -m tests.benchmarks.bench_score [rate | memory]. Run by hand.

Rates are the best of rounds that take turns, ratios of one run. The bare rate is decoding and scaling with one scaler a
video and nothing else, by as many threads.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.media import write_mp4
from datamodules.reading.scaling import RESIZE
from datamodules.video_reader import VideoReader
from experiments.score.policy import Policy
from experiments.score.scoring import Request, score
from metrics.features.base import Extractor
from tests.benchmarks.bench_reader import SIDE, bare, moving

ROUNDS, THREADS = 7, 2


class Nothing(Extractor):
    """Costs nothing: what is measured is all else."""

    name = "nothing"
    level = "clip"
    num_features = 1
    preprocessing = "none"

    def __init__(self) -> None:
        super().__init__()
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        """B 1 of zeros."""
        return torch.zeros(len(clips), 1)


METRIC: dict[str, Any] = {
    "class_path": "metrics.frechet.FrechetDistance",
    "init_args": {"extractor": {"class_path": "tests.benchmarks.bench_score.Nothing"}},
}


def run(folder: Path, windows: Any, threads: int | None = None) -> int:
    """Scores `folder`/real against `folder`/fake from nothing; frames that entered."""
    policy = Policy(size=(SIDE, SIDE), windows=windows)
    columns = {"frechet[nothing]": METRIC}
    (entry,) = score(Request(folder / "real", folder / "fake", columns, policy, keep=False, threads=threads))
    return 16 * (entry["n_real"] + entry["n_fake"])


def read(reader: VideoReader, path: Path) -> int:
    """Frames of a video."""
    return sum(map(len, reader.open(path)))


def rates(folder: Path) -> None:
    """Long videos all through, and many short ones, as generators write them."""
    cases = (("720p, 480 frames", 2, 480, (720, 1280)), ("256x256, 16 frames", 200, 16, (256, 256)))
    with ThreadPoolExecutor(THREADS) as pool:
        for label, videos, frames, sides in cases:
            place = folder / label.replace(" ", "_")
            paths = [place / side / f"{n}.mp4" for side in ("real", "fake") for n in range(videos)]
            for number, path in enumerate(paths):
                write_mp4(path, moving(number, frames, *sides), fps=25, scale=1)
            works: dict[str, Callable[[Path], int]] = {
                "bare, plain AREA": lambda path: bare(path, "AREA"),
                "bare, the reader's flags": lambda path: bare(path, RESIZE),
                "reader, all checks": partial(read, VideoReader(SIDE, SIDE)),
            }
            actions = {
                name: partial(lambda work, paths: sum(pool.map(work, paths)), work, paths)
                for name, work in works.items()
            }
            seconds = rounds(actions | {"score": partial(run, place, "all", THREADS)})
            print(f"{label}, {len(paths)} files, H.264 to {SIDE}x{SIDE}, {THREADS} threads, frames/s:")
            for name, (count, of_cpu, by_clock) in seconds.items():
                ratios = [seconds["bare, plain AREA"][n] / value for n, value in ((1, of_cpu), (2, by_clock))]
                cpu = f"{count / of_cpu:6.0f} of CPU ({ratios[0]:.3f} of bare)"
                print(f"  {name:25} {cpu}   {count / by_clock:6.0f} by the clock ({ratios[1]:.3f})")


def rounds(actions: Mapping[str, Callable[[], int]]) -> dict[str, tuple[int, float, float]]:
    """What each action counts, and its least seconds of CPU and by the clock, of rounds that take turns."""
    found = {name: (0, float("inf"), float("inf")) for name in actions}
    for _ in range(ROUNDS):
        for name, action in actions.items():
            cpu, clock = time.process_time(), time.perf_counter()
            count = action()
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
            found[name] = count, min(found[name][1], cpu), min(found[name][2], clock)
    return found


MEMORY = """
import sys
from pathlib import Path
from tests.benchmarks.bench_score import run

run(Path(sys.argv[1]), "all")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def memory(folder: Path) -> None:
    """Peak memory over the number of videos and over their length."""
    print("peak memory of a process that scores:")
    for frames, counts in ((64, (10, 100, 1000)), (12800, (2,))):
        for count in counts:
            place = folder / f"{frames}-{count}"
            first = place / "real" / "0.mp4"
            write_mp4(first, moving(0, 64, SIDE, SIDE).repeat(frames // 64, 0), scale=1)
            for side in ("real", "fake"):
                (place / side).mkdir(exist_ok=True)
                for n in range(count // 2):
                    if side != "real" or n:
                        (place / side / f"{n}.mp4").hardlink_to(first)
            done = subprocess.run(
                [sys.executable, "-c", MEMORY, str(place)], capture_output=True, text=True, check=True
            )
            size = frames * count * SIDE * SIDE * 3 / 1e6
            print(
                f"  {count:5} videos of {frames:5} frames ({size:7.1f} MB): {int(done.stdout) / 1024:6.1f} MiB",
                flush=True,
            )


PARTS = {"rate": rates, "memory": memory}


def main() -> None:
    """Measures the parts named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    torch.set_num_threads(1)
    for name in parser.parse_args().parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
