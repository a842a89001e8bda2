"""Clips of a person from files, and the picture that shows sources, poses, clips and truth side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from datamodules.media import contact_sheet, write_lossless, write_mp4, write_png
from datamodules.pose.driving import Posed, PoseFiles, read_posed
from datamodules.pose.skeletons import COCO_18
from datamodules.show_tracks import Zoom, pictures_of
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import to_device
from lightning_modules.sizes import height_width
from metrics.base import to_uint8

SHEET = "poses.png"
COLUMNS = 6  # frames shown of a clip
FPS = 8


def pose_sheet(batch: VideoBatch, drawn: Tensor, limbs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Three rows a clip: poses, the frames drawn, the true ones where there are; left of the poses the source.

    Args:
        batch: with `source` and `pose`; `video` is the truth.
        drawn: uint8 B C T H W.
        limbs: pairs of joints to join.

    Returns:
        uint8 H W 3. Single frames take one row: source, pose, drawn, true.
    """
    wide = to_float({**batch, "video": drawn})
    frames = drawn.shape[2]
    at = np.linspace(0, frames - 1, min(COLUMNS, frames)).round().astype(int)
    zoom = Zoom(1, 1)
    rows = []
    for clip in range(len(drawn)):
        mine = dict(pictures_of(wide, clip, limbs, zoom))
        true = [] if "video" not in batch else [dict(pictures_of(to_float(batch), clip, limbs, zoom))["video"][at]]
        shown = [mine["pose"][at], mine["video"][at], *true]
        left = [mine["source"], *(np.full_like(mine["source"], 255) for _ in shown[1:])]
        if frames == 1:
            rows.append(np.concatenate([mine["source"], *shown]))
        else:
            rows += [np.concatenate(row) for row in zip(left, shown, strict=True)]
    return contact_sheet(np.stack(rows), rows=len(rows), columns=COLUMNS + 1)


def write_posed(
    method: Method,
    needs: frozenset[str],
    files: PoseFiles,
    folder: Path,
    *,
    frames: int | None = None,
    seed: int = 0,
    lossless: bool = False,
) -> list[str]:
    """Draws the person of a picture in poses from files: clip.mp4 and poses.png in `folder`.

    Args:
        method: in eval mode.
        needs: of it, see `Method.needs`; `source` and `pose` among them.
        files: picture and poses.
        folder: for what is written; files of those names are replaced.
        frames: only the first so many poses.
        seed: keys the noise of methods that have any.
        lossless: clip.mkv beside the mp4.

    Returns:
        Notes: what a user should know.

    Raises:
        BenchError: a method that is not driven by poses, or files that do not do.
    """
    if not {"source", "pose"} <= needs:
        raise BenchError(
            f"--source: {type(method).__name__} does not draw a person in poses, it needs {', '.join(sorted(needs))}; "
            "name a run of a method that needs source and pose, such as PG2"
        )
    given = read_posed(files, height_width(method.size), "source_pose" in needs, frames)
    batch = _batch(given, f"{files.source.name} in {files.poses.name}")
    shown = to_float(to_device(batch, method.device))
    clips = to_uint8(method.sample(shown, ClipNoise(seed, batch["index"]))).cpu()
    clip = clips[0].permute(1, 2, 3, 0).numpy()  # T H W C
    write_mp4(folder / "clip.mp4", clip, FPS)
    if lossless:
        write_lossless(folder / "clip.mkv", clip, FPS)
    write_png(folder / SHEET, pose_sheet(batch, clips, COCO_18.limbs))
    return given.notes


def _batch(given: Posed, name: str) -> VideoBatch:
    """One clip as a datamodule gives it; its number is 0, and methods that refuse it say its name."""
    batch: VideoBatch = {
        "source": torch.from_numpy(given.source.transpose(2, 0, 1).copy())[None],
        "source_pose": torch.from_numpy(given.source_pose)[None, None],
        "pose": torch.from_numpy(given.poses)[None, None],
        "index": torch.zeros(1, dtype=torch.int64),
        "name": [name],
    }
    if given.driving is not None:
        batch["video"] = torch.from_numpy(given.driving.transpose(3, 0, 1, 2).copy())[None]
    return batch
