"""PG2's losses: a difference that counts twice on the person, and three ways to judge pictures."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Adversarial = Literal["market", "deepfashion", "pairs"]
Logits = dict[str, Tensor]


def pose_mask_l1(image: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    """Mean |image - target| (1 + mask) (eq. 1, which sums), over all pixels and channels; None counts nothing twice.

    Args:
        image, target: N 3 H W.
        mask: N 1 H W in [0, 1].
    """
    apart = (image.float() - target.float()).abs()
    return apart.mean() if mask is None else apart.mean() + (apart * mask).mean()


def judge(
    discriminator: nn.Module, scheme: Adversarial, source: Tensor, target: Tensor, coarse: Tensor, fake: Tensor
) -> Logits:
    """Logits of N pictures each by what they are. All are judged in one call, since BatchNorm sees the whole batch.

    Args:
        scheme: `market` and `deepfashion` judge single pictures as the two official trainers do, the source as another
            false one; `pairs` are the paper's: picture and source together.
        source, target, coarse, fake: N 3 H W; G1's picture only lies in Market's batch, where it moves the statistics.
    """
    if scheme == "market":
        parts = {"target": target, "source": source, "coarse": coarse, "fake": fake}
        if coarse is fake:  # there is no G2
            del parts["coarse"]
    elif scheme == "deepfashion":
        parts = {"target": target, "fake": fake, "source": source}
    else:
        parts = {"target": torch.cat([source, target], 1), "fake": torch.cat([source, fake], 1)}
    logits = discriminator(torch.cat(list(parts.values()))).float()
    return dict(zip(parts, logits.split(len(target)), strict=True))


def generator_loss(scheme: Adversarial, logits: Logits) -> Tensor:
    """The generator's part in the discriminator's opinion; `deepfashion` averages over sources too, which halves it."""
    if scheme == "deepfashion":
        return bce(torch.cat([logits["fake"], logits["source"]]), 1)
    return bce(logits["fake"], 1)


def discriminator_loss(scheme: Adversarial, logits: Logits) -> Tensor:
    """What the discriminator minimises: true pictures 1, false ones and, but for `pairs`, sources 0."""
    real = bce(logits["target"], 1)
    if scheme == "pairs":
        return real + bce(logits["fake"], 0)
    return 0.5 * real + 0.25 * (bce(logits["fake"], 0) + bce(logits["source"], 0))


def bce(logits: Tensor, label: int) -> Tensor:
    """Sigmoid cross entropy with one label for all, the mean."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
