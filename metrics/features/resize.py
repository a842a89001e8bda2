"""Bilinear resizing by the three rules that published metrics use. The rule moves FVD by several per cent."""

from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError

Rule = Literal["tf1", "half_pixel", "antialias"]


def resize(frames: Tensor, size: tuple[int, int], rule: Rule) -> Tensor:
    """Bilinear, without rounding.

    - `tf1`: TensorFlow 1's `resize_bilinear` with align_corners=False: output i looks at input i * n_in / n_out, so the
      picture is shifted towards the upper left; nothing is filtered when shrinking.
    - `half_pixel`: looks at (i + 1/2) * n_in / n_out - 1/2; nothing is filtered (OpenCV, torch's default).
    - `antialias`: the same places, with the triangle widened by the factor of shrinking (Pillow).

    Args:
        frames: floating point N C H W.
        size: height and width wanted.

    Returns:
        N C size.

    Raises:
        BenchError: not floating point, not N C H W, or an unknown rule.
    """
    check_rule("resize", rule)
    if not frames.is_floating_point() or frames.ndim != 4:
        raise BenchError(f"resize takes floating point N C H W, got {frames.dtype} {tuple(frames.shape)}")
    if rule != "tf1":
        return F.interpolate(frames, size, mode="bilinear", align_corners=False, antialias=rule == "antialias")
    for axis in (2, 3):
        if frames.shape[axis] != size[axis - 2]:
            weights = tf1_weights(frames.shape[axis], size[axis - 2]).to(frames)
            frames = torch.tensordot(frames, weights, dims=([axis], [1])).movedim(-1, axis)
    return frames


@lru_cache(maxsize=32)
def tf1_weights(inputs: int, outputs: int) -> Tensor:
    """The `tf1` rule along one axis as a matrix (outputs x inputs, float32)."""
    place = torch.arange(outputs, dtype=torch.float64) * (inputs / outputs)
    below = place.floor().long().clamp_max(inputs - 1)
    above = (below + 1).clamp_max(inputs - 1)
    fraction = place - below
    weights = torch.zeros(outputs, inputs, dtype=torch.float64)
    weights.scatter_add_(1, below[:, None], (1 - fraction)[:, None])
    weights.scatter_add_(1, above[:, None], fraction[:, None])
    return weights.float()


def check_rule(whose: str, rule: str) -> None:
    """Raises `BenchError` unless `rule` is one of the three."""
    if rule not in get_args(Rule):
        raise BenchError(f"{whose}: resize must be one of {', '.join(get_args(Rule))}, found {rule!r}")
