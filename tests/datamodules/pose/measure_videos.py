"""How often and how fast poses are found: `python -m tests.datamodules.pose.measure_videos FOLDER`."""

import sys
import time
from pathlib import Path

import numpy as np

from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.blazepose.face import FaceMesh
from datamodules.pose.estimator import Estimate, PoseEstimator
from tests.datamodules.pose.videos import decode

ROUNDS = 3


def fastest(estimator: PoseEstimator, frames: np.ndarray) -> tuple[Estimate, float]:
    """What is found, and frames a second of CPU time, best of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        found = estimator.estimate(frames)
        seconds.append(time.process_time() - began)
    return found, len(frames) / min(seconds)


def bodies(videos: list[Path]) -> None:
    """Bodies, at most one and at most two."""
    print("| video | frames | size | found | frames/s, one | frames/s, two | persons, two |")
    print("| --- | ---: | --- | ---: | ---: | ---: | --- |")
    for path in videos:
        frames = decode(path)
        (one, one_speed), (two, two_speed) = (fastest(BlazePose(persons=n), frames) for n in (1, 2))
        size = f"{frames.shape[2]}x{frames.shape[1]}"
        said = "; ".join(two.report.lines())
        speeds = f"{one_speed:.0f} | {two_speed:.0f}"
        print(f"| {path.stem} | {len(frames)} | {size} | {one.report.found:.2f} | {speeds} | {said} |")


def faces(videos: list[Path]) -> None:
    """Faces by themselves, and at the heads of up to two bodies in full size."""
    print("| video | face found | frames/s | at the heads of bodies, full size |")
    print("| --- | ---: | ---: | ---: |")
    mesh, body = FaceMesh(), BlazePose(persons=2)
    for path in videos:
        found, speed = fastest(mesh, decode(path))
        frames = decode(path, slice(0, None, 10), longest=10_000)  # every tenth: they are large
        at_heads = mesh.at_heads(frames, body.estimate(frames).poses, body.skeleton)
        print(f"| {path.stem} | {found.report.found:.2f} | {speed:.0f} | {at_heads.report.found:.2f} |")


if __name__ == "__main__":
    paths = sorted(Path(sys.argv[1]).glob("*.mp4"))
    bodies(paths)
    print()
    faces(paths)
