"""The swap test: every content with every motion, as a picture and as shares of variance."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.jsonfile import write_json
from datamodules.media import contact_sheet, write_mp4, write_png
from lightning_modules.contract import ClipNoise, Method
from metrics.base import to_uint8
from metrics.content import mean_colours

THRESHOLD = 32  # a pixel whose largest channel exceeds it belongs to the object, as in ACD
SHOWN = 4  # frames of a clip in the picture
FACTORS = ("content", "motion", "both")


def shares(features: Tensor) -> dict[str, float]:
    """What decides a feature: two-way decomposition of its variance over a full grid.

    Args:
        features: contents x motions x d.

    Returns:
        Shares of the sum of squares about the mean that go with the content alone, with the motion alone, and with
        their combination (`both`); they add up to 1. Empty where the feature never changes.
    """
    features = features.double()
    centred = features - features.mean((0, 1))
    total = float(centred.square().sum())
    if total == 0:
        return {}
    of_content = float(centred.mean(1).square().sum()) * features.shape[1] / total
    of_motion = float(centred.mean(0).square().sum()) * features.shape[0] / total
    return dict(zip(FACTORS, (of_content, of_motion, 1 - of_content - of_motion), strict=True))


def colour_and_path(clips: Tensor) -> tuple[Tensor, Tensor, int]:
    """What a clip's object looks like and where it goes.

    Args:
        clips: uint8 B C T H W.

    Returns:
        B 3, mean colour over the frames that show an object; B 2T, the centre of its pixels in every frame (y, x; the
        clip's mean where a frame shows none); and how many frames show none.
    """
    clips = clips.cpu().expand(-1, 3, -1, -1, -1)
    colours, valid = mean_colours(clips, THRESHOLD)  # B T 3, B T
    inside = (clips.amax(1) > THRESHOLD).double()  # B T H W
    count = inside.sum((2, 3)).clamp_min(1)
    rows = torch.arange(clips.shape[3], dtype=torch.float64)
    columns = torch.arange(clips.shape[4], dtype=torch.float64)
    centre = torch.stack([(inside.sum(3) @ rows) / count, (inside.sum(2) @ columns) / count], 2)  # B T 2
    weight = valid.double()[..., None]
    shown = weight.sum(1).clamp_min(1)
    mean = (centre * weight).sum(1, keepdim=True) / shown[:, None]
    path = torch.where(valid[..., None], centre, mean)
    return (colours * weight).sum(1) / shown, path.flatten(1), int((~valid).sum())


@torch.no_grad()
def swapped(method: Method, n: int, seed: int) -> Tensor:
    """uint8 n n C T H W: clip (i, j) has content i and motion j."""
    numbers = torch.arange(n)
    rows = []
    for content in numbers:
        clips = method.swap(ClipNoise(seed, content.expand(n)), ClipNoise(seed, n + numbers))
        rows.append(to_uint8(clips).cpu())
    return torch.stack(rows)


def write_swap(method: Method, folder: Path, *, n: int, seed: int = 0, fps: int = 8) -> dict[str, Any]:
    """Writes swap.png, swap.mp4 and swap.json. Rows share their content, columns their motion.

    Args:
        folder: where.
        n: contents and motions, at least 2.
        seed: keys the noise.

    Returns:
        What swap.json holds: the shares for `colour` and `path`, and `missing`, frames without an object.

    Raises:
        BenchError: n below 2, or a method without parts to swap.
    """
    if n < 2:
        raise BenchError(f"--swap needs at least 2 contents and motions (n), found {n}")
    clips = swapped(method, n, seed)  # n n C T H W
    colour, path, missing = colour_and_path(clips.flatten(0, 1))
    told = {
        "n": n,
        "seed": seed,
        "colour": shares(colour.unflatten(0, (n, n))),
        "path": shares(path.unflatten(0, (n, n))),
        "missing": missing,
    }
    at = np.linspace(0, clips.shape[3] - 1, SHOWN).round().astype(int)
    still = clips[:, :, :, at].permute(0, 1, 3, 4, 5, 2).flatten(1, 2).numpy()  # n n*S H W C
    write_png(folder / "swap.png", contact_sheet(still, rows=n, columns=n * SHOWN, gap=1))
    tiles = clips.permute(3, 0, 4, 1, 5, 2).numpy()  # T n H n W C
    write_mp4(folder / "swap.mp4", tiles.reshape(len(tiles), n * clips.shape[4], -1, clips.shape[2]), fps)
    write_json(folder / "swap.json", told)
    return told
