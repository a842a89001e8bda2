from typing import NamedTuple

import torch
from torch import Tensor, nn


class Gaussian(NamedTuple):
    """A Gaussian with independent components: `mu` and `logvar` (of the variance), both ... Z."""

    mu: Tensor
    logvar: Tensor

    def draw(self, eps: Tensor) -> Tensor:
        """... Z: mu + sigma * eps, with eps ... Z from N(0, I)."""
        return self.mu + (0.5 * self.logvar).exp() * eps

    def both(self) -> Tensor:
        """... 2Z: the parameters as an input of a network."""
        return torch.cat(self, -1)


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) in nats, summed over the components: ... Z -> ..., float32."""
    mu_q, logvar_q, mu_p, logvar_p = (x.float() for x in (*q, *p))
    # Differences within exp, and halves of logarithms: the inverse of a small variance does not fit in float32.
    ratio = (logvar_q - logvar_p).exp() + ((mu_q - mu_p) * (-0.5 * logvar_p).exp()).square()
    return 0.5 * (logvar_p - logvar_q + ratio - 1).sum(-1)


def stacked(steps: list[Gaussian]) -> Gaussian:
    """T Gaussians of B Z -> one of B T Z."""
    return Gaussian(*(torch.stack(part, 1) for part in zip(*steps, strict=True)))


class GaussianNet(nn.Module):
    """A hidden layer and two heads: ... inputs -> parameters of a Gaussian over ... dim_z."""

    def __init__(self, inputs: int, hidden: int, dim_z: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.mu = nn.Linear(hidden, dim_z)
        self.logvar = nn.Linear(hidden, dim_z)

    def forward(self, *inputs: Tensor) -> Gaussian:
        """The inputs, each ... n, are concatenated."""
        hidden = self.hidden(torch.cat(inputs, -1)).relu()
        return Gaussian(self.mu(hidden), self.logvar(hidden))
