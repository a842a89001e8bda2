"""Clips a second of sets of many files, from files and cache: `python -m tests.benchmarks.bench_frame_sets`.

With REELBENCH_DATA also of the samples of Cityscapes and of Everybody Dance Now. Rates are of CPU time of one thread.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.everybody_dance import EverybodyDance
from datamodules.frame_sets.data import FrameSetData
from datamodules.pix2pixhd import Pix2PixHD
from datamodules.vid2vid_street import Vid2VidStreet
from tests.datamodules.frame_files import instances, labels, noise, save

ROUNDS, FRAMES, SIDES = 5, 30, (512, 1024)
SPLITS: dict[str, Any] = {"val": "train", "test": "train"}


def synthetic(root: Path) -> Path:
    """Two sequences of noisy frames with label and instance maps of blocks, 512x1024."""
    for sequence in range(2):
        for t in range(FRAMES):
            picture = noise(t, SIDES[0] // 4, SIDES[1] // 4).repeat(4, 0).repeat(4, 1)
            label = labels(t, 35, SIDES[0] // 32, SIDES[1] // 32).repeat(32, 0).repeat(32, 1)
            for kind, pixels in (("A", label), ("B", picture), ("inst", instances(label))):
                save(root / f"train_{kind}/{sequence}/{t:03}.png", pixels)
    return root


def rate(work: Callable[[], Any], clips: int) -> float:
    """Clips a second, best of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return clips / min(seconds)


def from_files(data: FrameSetData, frames: int) -> float:
    """Every frame and track of one clip after another, read from the files."""
    videos = itertools.cycle(data.videos("train"))

    def read() -> None:
        video = next(videos)
        for t in range(frames):
            data.reader.frame(video, t)

    return rate(read, 1)


def from_cache(data: FrameSetData, frames: int, clips: int = 8) -> float:
    """Batches as a method gets them, from a cache that was built before."""
    count = len(data.store("train").lengths)
    videos = np.arange(clips) % count
    at = np.tile(np.arange(frames), (clips, 1))
    return rate(lambda: data.batch("train", videos, at, videos), clips)


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["REELBENCH_CACHE"] = f"{scratch}/cache"
        street = synthetic(Path(scratch) / "street")
        sets: dict[str, FrameSetData] = {
            "synthetic, vid2vid's layout, maps": Vid2VidStreet(root=str(street), frames=6, size=(256, 512), **SPLITS)
        }
        if place := os.environ.get("REELBENCH_DATA"):
            sample, dancer = f"{place}/cityscapes_sample", f"{place}/dance_sample/train"
            sets["Cityscapes sample, maps, 512x1024"] = Pix2PixHD(root=sample, size=(512, 1024), **SPLITS)
            sets["Cityscapes sample, maps, 256x512"] = Pix2PixHD(root=sample, size=(256, 512), **SPLITS)
            sets["dancer, condition and key-points, 256x512"] = EverybodyDance(
                root=dancer, frames=2, keypoints="keypoints", **SPLITS
            )
        print("| set | frames a clip | files, clips/s | cache, clips/s | ratio | build, frames/s |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, data in sets.items():
            frames = data.frames
            before = from_files(data, frames)
            began = time.process_time()
            count = int(data.phase_cache("train").lengths.sum())
            built = count / (time.process_time() - began)
            after = from_cache(data, frames)
            print(f"| {name} | {frames} | {before:.1f} | {after:,.0f} | {after / before:,.0f} | {built:.0f} |")


if __name__ == "__main__":
    main()
