import torch
import torch.nn.functional as F
from torch import Tensor

REAL, FAKE = 0.0, 1.0  # the official vanilla GAN's labels, which are inverted


def wgan_generator(fake: Tensor) -> Tensor:
    """-mean D(fake)."""
    return -fake.float().mean()


def wgan_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Mean D(fake) - mean D(real)."""
    return fake.float().mean() - real.float().mean()


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Sigmoid cross entropy with one label for all clips, mean over clips."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
