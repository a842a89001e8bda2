"""What vid2vid minimises beside pix2pixHD's losses (section 3.1, official code): flow, and frames moved by it."""

import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.discriminator import Judged
from lightning_modules.pix2pixhd.losses import feature_matching, gan_loss
from lightning_modules.vid2vid.warp import warp

FLOW_SHOWN = 20.0  # the discriminators of time are shown flows in this unit


def masked_l1(found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference where `mask` is 1; what is masked counts as equal, so the mean is over all pixels."""
    return (mask * (found.float() - wanted.float())).abs().mean()


def flow_losses(
    flow: Tensor, wanted: Tensor, trusted: Tensor, real: Tensor, real_before: Tensor
) -> tuple[Tensor, Tensor]:
    """The estimated flow against the true one, and the true frame before, moved by it, against the true frame.

    Args:
        flow, wanted: N 2 H W in pixels.
        trusted: N 1 H W, see `warp.confidence`.
        real, real_before: N C H W.
    """
    return masked_l1(flow, wanted, trusted), masked_l1(warp(real_before, flow), real, trusted)


def steady_loss(fake: Tensor, fake_before: Tensor, wanted: Tensor, trusted: Tensor) -> Tensor:
    """The frame made before, moved by the true flow, against the frame; in the official code only.

    No gradient reaches the frame before.
    """
    return masked_l1(fake, warp(fake_before, wanted).detach(), trusted)


def over_time(frames: Tensor, flows: Tensor) -> Tensor:
    """What the discriminators of time judge: N C K H W and N 2 K-1 H W -> N (C K + 2 K - 2) H W."""
    return torch.cat([frames.transpose(1, 2).flatten(1, 2), flows.transpose(1, 2).flatten(1, 2) / FLOW_SHOWN], 1)


def generator_terms(judged: Judged, on_real: Judged) -> tuple[Tensor, Tensor]:
    """The adversarial loss and feature matching, unweighted."""
    return gan_loss(judged, True), feature_matching(judged, on_real)


def discriminator_terms(network: nn.Module, real: Tensor, fakes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Half of each loss on real and fake input; the real one counts once for each kind of fakes.

    Args:
        network: a `MultiscaleDiscriminator`.
        real: N C H W.
        fakes: N C H W each, detached: final frames, and new pictures before blending.
    """
    # Every kind of fakes is judged by itself, so that BatchNorm does not mix them.
    on_real = gan_loss(network(real), True) * len(fakes)
    on_fake = torch.stack([gan_loss(network(fake), False) for fake in fakes]).sum()
    return 0.5 * on_real, 0.5 * on_fake
