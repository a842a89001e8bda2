"""How fast videos reach a batch, and what memory they take. Run by hand.

python -m tests.benchmarks.bench_reader [cache | build | memory | videos]

Rates are per second of processor time of one thread, the best of several rounds that take turns, so other processes
disturb them little; ratios are of one run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace, VideoReformatter
from PIL import Image

from datamodules.cache import open_cache
from datamodules.content import Source
from datamodules.folder import VideoFolder
from datamodules.media import write_mp4
from datamodules.reading.scaling import RESIZE
from datamodules.video_reader import VideoReader

SIDE = 64


def moving(seed: int, frames: int, height: int, width: int) -> np.ndarray:
    """uint8 T H W 3: smooth noise that moves, so that H.264 has motion to code."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(coarse).resize((width + 4 * frames, height)))
    return np.stack([wide[:, 4 * t : 4 * t + width] for t in range(frames)])


def rate(action: Callable[[], int]) -> float:
    """What `action` counts, a second of processor time."""
    begin = time.process_time()
    count = action()
    return count / (time.process_time() - begin)


def best(rounds: int, **actions: Callable[[], int]) -> dict[str, float]:
    """The best rate of each; they take turns."""
    found = dict.fromkeys(actions, 0.0)
    for _ in range(rounds):
        for name, action in actions.items():
            found[name] = max(found[name], rate(action))
    return found


def cache_to_batch(folder: Path) -> None:
    """Clips a second of 16x64x64 from the cache, through the parts that training uses."""
    (folder / "videos").mkdir()
    for number in range(64):
        np.save(folder / "videos" / f"{number:03}.npy", moving(number, 120, SIDE, SIDE))
    data = VideoFolder("bench", str(folder / "videos"), labelled=False, val=0.2, test=0.2)
    from datamodules.base import TrainSteps
    from datamodules.stream import StreamSpec

    store, rng = data.store("train"), np.random.default_rng(0)
    count, batch = len(store.lengths), data.batch_size
    videos = rng.integers(0, count, (200, batch))
    at = rng.integers(0, 100, (200, batch, 1)) + np.arange(16)
    steps = TrainSteps(data, {"clips": StreamSpec()}, 0, 0, 1)

    def gather() -> int:
        return sum(len(store.gather(v, f)) for v, f in zip(videos, at, strict=True))

    def batches() -> int:
        return sum(len(data.batch("train", v, f, v)["video"]) for v, f in zip(videos, at, strict=True))

    def stream() -> int:
        return sum(len(steps[step]["video"]) for step in range(200))

    found = best(7, gather=gather, batch=batches, stream=stream)
    print(f"cache to batch, clips/s of 16x{SIDE}x{SIDE}, batch {batch} (floor 30,000):")
    print(f"  gather {found['gather']:,.0f}, batch {found['batch']:,.0f}, keyed stream {found['stream']:,.0f}")


def bare(path: Path, flags: Any) -> int:
    """Decode and scale with one reformatter and nothing else."""
    reformatter = VideoReformatter()
    count = 0
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in file.decode(stream):
            reformatter.reformat(
                frame, SIDE, SIDE, "rgb24", src_colorspace=Colorspace.ITU709, interpolation=flags, threads=1
            ).to_ndarray()
            count += 1
    return count


def build(folder: Path) -> None:
    """Frames a second from 720p H.264 into the cache, against decoding and scaling alone."""
    path = folder / "clip.mp4"
    write_mp4(path, moving(0, 250, 720, 1280), fps=25, scale=1)  # 10 s
    number = iter(range(10**6))
    reader = VideoReader(SIDE, SIDE)

    def built() -> int:
        os.environ["REELBENCH_CACHE"] = str(folder / f"cache{next(number)}")
        return int(open_cache("bench", [Source(path, f"{n}.mp4", {}) for n in range(2)], reader).lengths.sum())

    def read() -> int:
        return sum(len(piece) for _ in range(2) for piece in reader.open(path))

    def plain() -> int:
        return bare(path, "AREA") + bare(path, "AREA")

    def exact() -> int:
        return bare(path, RESIZE) + bare(path, RESIZE)

    found = best(12, built=built, read=read, plain=plain, exact=exact)
    print("720p H.264 to 64x64, frames/s:")
    for name in ("plain", "exact", "read", "built"):
        print(f"  {name:6} {found[name]:7.0f}  {found[name] / found['plain']:.3f} of plain AREA")


MEMORY = """
import sys
from pathlib import Path
from datamodules.cache import open_cache
from datamodules.content import Source
from datamodules.video_reader import VideoReader

path, count = Path(sys.argv[1]), int(sys.argv[2])
open_cache("memory", [Source(path, f"{n}", {}) for n in range(count)], VideoReader(64, 64))
# Not ru_maxrss: a child starts with its parent's.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def memory(folder: Path) -> None:
    """Peak memory of a building process, over the number of videos and over their length."""
    print("peak memory of a process that builds:")
    for frames, counts in ((40, (1, 100, 1000, 4000)), (8000, (1,))):
        path = folder / f"{frames}.mp4"
        write_mp4(path, moving(0, 40, SIDE, SIDE).repeat(frames // 40, 0), scale=1)
        for count in counts:
            env = {**os.environ, "REELBENCH_CACHE": str(folder / f"memory-{frames}-{count}")}
            command = [sys.executable, "-c", MEMORY, str(path), str(count)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            size = frames * count * SIDE * SIDE * 3 / 1e6
            print(f"  {count:5} videos of {frames:5} frames ({size:6.1f} MB): {int(done.stdout) / 1024:6.1f} MiB")


def many_videos(folder: Path, count: int = 8000) -> tuple[float, float, float]:
    """Bytes of memory a video: at most while building, at most while starting again, and held while training."""
    for number in range(count):
        place = folder / "videos" / f"class{number % 8}" / f"clip_{number:06}.npy"
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, np.full((1, 8, 8, 3), number % 256, dtype=np.uint8))
    used: list[float] = []
    for _ in range(2):
        tracemalloc.start()
        data = VideoFolder("bench", str(folder / "videos"), size=8, frames=1)
        data.store("train")
        held, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        used.append(most / count)
    return used[0], used[1], held / count


def videos(folder: Path) -> None:
    """What each video costs in memory, whatever its length."""
    building, starting, held = many_videos(folder)
    print(f"bytes a video: {building:,.0f} building, {starting:,.0f} starting again, {held:,.0f} held")


PARTS = {"cache": cache_to_batch, "build": build, "memory": memory, "videos": videos}


def main() -> None:
    """Measures the parts named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    torch.set_num_threads(1)
    for name in parser.parse_args().parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["REELBENCH_CACHE"] = str(Path(folder) / "cache")
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
