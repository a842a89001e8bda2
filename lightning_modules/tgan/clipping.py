"""How TGAN keeps its critic's slope bounded (section 4 of the paper): singular values, or weights, are cut off."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_modules.tgan.networks import Discriminator

LEAST = 0.01  # of the deviation, below which a BatchNorm scale is raised


def clip_singular_values(matrix: Tensor) -> Tensor:
    """The nearest matrix whose singular values are at most 1.

    By the eigenvectors of the smaller Gram matrix in float64: A V min(1, 1/s) V^T, where A^T A = V s^2 V^T. That is
    what U min(s, 1) V^T gives, without a decomposition of the large side, on whatever device the matrix is.

    Args:
        matrix: m n.
    """
    tall = matrix.double()
    wide = tall.shape[0] < tall.shape[1]
    tall = tall.T if wide else tall
    values, vectors = torch.linalg.eigh(tall.T @ tall)
    factor = values.clamp_min(1).rsqrt()  # 1 for singular values up to 1
    clipped = tall @ (vectors * factor) @ vectors.T
    return (clipped.T if wide else clipped).to(matrix.dtype)


@torch.no_grad()
def clip_discriminator(discriminator: Discriminator) -> None:
    """Cuts off singular values of every kernel (as outputs x the rest), and scales above the running deviation.

    Scales also rise to a hundredth of it; a negative one becomes that. Shifts stay.
    """
    for layer in discriminator.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layer.weight.copy_(clip_singular_values(layer.weight.flatten(1)).view_as(layer.weight))
        elif isinstance(layer, _BatchNorm):
            assert layer.running_var is not None
            deviation = layer.running_var.sqrt()
            layer.weight.copy_(torch.maximum(torch.minimum(layer.weight, deviation), LEAST * deviation))


@torch.no_grad()
def clip_weights(discriminator: nn.Module, bound: float = 0.01) -> None:
    """Every parameter into [-bound, bound], scales and shifts too (Arjovsky et al. 2017)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-bound, bound)
