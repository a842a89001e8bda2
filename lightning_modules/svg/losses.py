import torch
from torch import Tensor

from lightning_modules.svg.recurrent import Gaussian


def kl_divergence(q: Gaussian, p: Gaussian | None) -> Tensor:
    """KL(q || p) in nats, summed over the dimensions of z, B T float32.

    Args:
        q: the posterior.
        p: the learned prior; None for N(0, I).
    """
    mean, logvar = q.mean.float(), q.logvar.float()
    if p is None:
        return -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(-1)
    shift = (mean - p.mean.float()) ** 2
    of_p = p.logvar.float()
    return 0.5 * (of_p - logvar + (logvar - of_p).exp() + shift * torch.exp(-of_p) - 1).sum(-1)
