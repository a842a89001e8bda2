import torch
import torch.nn.functional as F
from torch import Tensor


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """BCE(D(real), 1) + BCE(D(fake), 0), each the mean over its logits; the sum is not halved."""
    real, fake = real.float(), fake.float()
    return F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )


def bce_generator(fake: Tensor) -> Tensor:
    """BCE(D(fake), 1), the non-saturating generator loss, mean over the logits."""
    fake = fake.float()
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
