"""What keeps the critic Lipschitz: singular value clipping, TGAN's own, or the weight clipping of WGAN."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

WEIGHT_LIMIT = 0.01


def clip_singular_values(matrix: Tensor, limit: float = 1.0) -> Tensor:
    """The nearest matrix whose singular values are at most `limit`, with the same singular vectors.

    With A = U S V', A A' = U S^2 U', so that U min(1, limit / S) U' A needs the eigenvalues of the smaller of A A' and
    A' A only. In float64 on A's device: squaring halves the digits, but only values above `limit` are changed.

    Args:
        matrix: rows x columns.
        limit: of the singular values.

    Returns:
        Like `matrix`; its own values, to the last bit, where none exceeds the limit. A matrix that is not finite comes
        back as it is: the check of the losses stops the run and names the clips.
    """
    wide = matrix.double()
    if wide.shape[0] > wide.shape[1]:
        return clip_singular_values(matrix.T, limit).T
    gram = wide @ wide.T
    finite = gram.isfinite().all()
    values, vectors = torch.linalg.eigh(torch.where(finite, gram, torch.zeros_like(gram)))  # eigh would raise
    above = values > limit**2
    shrink = torch.where(above, limit * values.clamp(min=limit**2).rsqrt(), 1.0)
    clipped = (vectors * shrink) @ (vectors.T @ wide)
    return torch.where(finite & above.any(), clipped.to(matrix.dtype), matrix)


@torch.no_grad()
def clip_critic_singular_values(critic: nn.Module) -> None:
    """Every kernel, as the matrix out_channels x the rest, to singular values of at most 1; every gamma by the rule.

    Biases and shifts stay. This bounds the matrix, not the convolution, as in the official code.
    """
    for layer in critic.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            layer.weight.copy_(clip_singular_values(layer.weight.flatten(1)).view_as(layer.weight))
        elif isinstance(layer, _BatchNorm):
            clip_gamma(layer)


@torch.no_grad()
def clip_gamma(norm: _BatchNorm) -> None:
    """Gamma into [0.01 sigma, sigma], so that BatchNorm does not stretch; sigma from the running variance, no eps.

    Negative gammas become 0.01 sigma, as in the official code.
    """
    assert norm.running_var is not None
    sigma = norm.running_var.sqrt()
    norm.weight.copy_(norm.weight.minimum(sigma).maximum(0.01 * sigma))


@torch.no_grad()
def clip_critic_weights(critic: nn.Module) -> None:
    """Every parameter, biases and gammas too, into [-0.01, 0.01] (Arjovsky et al., arXiv 1701.07875)."""
    for parameter in critic.parameters():
        parameter.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)
