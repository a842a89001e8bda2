"""What pix2pixHD minimises (section 3.3): sums over scales, as the official code computes them."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.pix2pixhd.discriminator import Judged

Gan = Literal["lsgan", "bce"]
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of relu1_1 to relu5_1


def gan_loss(judged: Judged, real: bool, gan: Gan = "lsgan") -> Tensor:
    """The distance of the verdicts from what they should be: mean over a scale's patches, summed over scales.

    Args:
        judged: of `MultiscaleDiscriminator`; only each scale's last map counts.
        real: whether the verdict should be "real".
        gan: `lsgan`, squared error; `bce`, cross entropy of the sigmoid.
    """
    verdicts = [maps[-1].float() for maps in judged]
    target = float(real)
    measure = F.mse_loss if gan == "lsgan" else F.binary_cross_entropy_with_logits
    return torch.stack([measure(v, torch.full_like(v, target)) for v in verdicts]).sum()


def feature_matching(fake: Judged, real: Judged) -> Tensor:
    """Mean absolute difference of the discriminators' maps, of all layers but the verdict.

    Summed over layers with 4 / layers, averaged over scales, as the official code weighs it. No gradient reaches the
    real pictures' maps.
    """
    weight = 4 / (len(fake[0]) - 1) / len(fake)
    pairs = [pair for ours, theirs in zip(fake, real, strict=True) for pair in zip(ours[:-1], theirs[:-1], strict=True)]
    return weight * torch.stack([F.l1_loss(a.float(), b.detach().float()) for a, b in pairs]).sum()


def perceptual(network: nn.Module, fake: Tensor, real: Tensor, weights: Sequence[float] = VGG_WEIGHTS) -> Tensor:
    """Weighted mean absolute differences of VGG-19's features.

    Args:
        network: `metrics.features.vgg.Vgg19Features`.
        fake, real: N 3 H W in [-1, 1], which go in as they are: the official code does not normalise by ImageNet.
        weights: of the features, from the shallowest.
    """
    with torch.no_grad():
        wanted = network(real)
    pairs = zip(network(fake), wanted, strict=True)
    terms = [w * F.l1_loss(a.float(), b.float()) for w, (a, b) in zip(weights, pairs, strict=True)]
    return torch.stack(terms).sum()
