"""Best, mean and worst of the samples that a protocol draws for each clip."""

from typing import Literal, get_args

import torch
from torch import Tensor

Over = Literal["best", "mean", "worst"]
OVERS: tuple[Over, ...] = get_args(Over)


def choose(scores: Tensor, over: Over, higher_is_better: bool) -> Tensor:
    """Which sample of each clip counts.

    Args:
        scores: N K, one a sample.
        over: `best` or `worst`.

    Returns:
        N int64; of samples that score alike the first.
    """
    return scores.argmax(dim=1) if (over == "best") == higher_is_better else scores.argmin(dim=1)


def of_samples(values: Tensor, scores: Tensor, over: Over, higher_is_better: bool) -> Tensor:
    """One of K values for each clip: that of the sample with the best or worst score, or the mean of all.

    Args:
        values: N K ... .
        scores: N K.

    Returns:
        N ... .
    """
    if over == "mean":
        return values.mean(dim=1)
    return values[torch.arange(len(values)), choose(scores, over, higher_is_better)]


def described(over: Over, samples: int) -> str:
    """For the fingerprint."""
    if over == "mean":
        return f"mean of {samples} samples"
    return f"{over} of {samples} samples, chosen for each clip by its own score over all frames"
