"""What a classifier of clips says of them, as probabilities."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import Extractor

Outputs = Literal["logits", "probabilities"]


def check_classifier(
    metric: str, classifier: Extractor, outputs: str = "logits", levels: Sequence[str] = ("clip",)
) -> None:
    """Raises `BenchError` unless `classifier` sees one of `levels`, knows two classes or more, and gives `outputs`."""
    if classifier.level not in levels or classifier.num_features < 2:
        raise BenchError(
            f"{metric} needs a classifier of level {' or '.join(levels)} with at least 2 classes, {classifier.name} "
            f"has level {classifier.level} and {classifier.num_features}"
        )
    if outputs not in ("logits", "probabilities"):
        raise BenchError(f"{metric}: outputs must be logits or probabilities, found {outputs!r}")


def class_probabilities(metric: str, classifier: Extractor, clips: Tensor, outputs: Outputs) -> Tensor:
    """B classes, or B T classes of a frame-level classifier, float64; each row sums to 1.

    Args:
        clips: uint8 B C T H W.
        outputs: what the classifier gives.

    Raises:
        BenchError: outputs that are not finite, or that are no probabilities though they are said to be.
    """
    values = classifier(clips).double()
    if not values.isfinite().all():
        raise BenchError(f"{metric}: {classifier.name} gives NaN or infinity for some clips")
    if outputs == "logits":
        return values.softmax(dim=-1)
    totals = values.sum(dim=-1)
    if (values < 0).any() or ((totals - 1).abs() > 1e-3).any():
        low, high = totals.aminmax()
        raise BenchError(
            f"{metric}: outputs of {classifier.name} are said to be probabilities, but their least is "
            f"{float(values.min()):.4g} and they sum to {float(low):.4g} to {float(high):.4g}; logits are "
            "`outputs: logits`"
        )
    return values / totals[..., None]


def entropy(probabilities: Tensor) -> Tensor:
    """-sum p ln p over the last axis, in nats; 0 ln 0 = 0.

    >>> round(float(entropy(torch.full((10,), 0.1, dtype=torch.float64))), 4)
    2.3026
    """
    return -torch.special.xlogy(probabilities, probabilities).sum(dim=-1)
