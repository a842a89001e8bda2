"""Parts of vid2vid's networks, and their normalisation."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.pix2pixhd.networks import Norm, ResidualBlock, down, norm_layer, seven, up

Statistics = Literal["frame", "running"]


class FrameBatchNorm(nn.BatchNorm2d):
    """BatchNorm that in evaluation normalises every frame by its own mean and variance.

    The official test never leaves training mode and makes one frame at a time, which is the same; here a frame does
    not depend on its batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        return super().forward(x) if self.training else F.instance_norm(x, None, None, self.weight, self.bias)


def use_frame_statistics(network: nn.Module) -> None:
    """Every BatchNorm below `network` becomes a `FrameBatchNorm`; names stay."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.BatchNorm2d:
                setattr(parent, name, FrameBatchNorm(layer.num_features))


def residuals(channels: int, count: int, norm: Norm) -> list[nn.Module]:
    """`count` residual blocks."""
    return [ResidualBlock(channels, norm) for _ in range(count)]


def encoder(inputs: int, ngf: int, halvings: int, norm: Norm) -> list[nn.Module]:
    """7x7 to `ngf` channels, then halvings that double them."""
    layers = [*seven(inputs, ngf), norm_layer(norm, ngf), nn.ReLU(inplace=True)]
    for level in range(halvings):
        layers += down(ngf << level, ngf << (level + 1), norm)
    return layers


def decoder(ngf: int, doublings: int, norm: Norm) -> list[nn.Module]:
    """Doublings of the size down to `ngf` channels."""
    return [layer for level in reversed(range(doublings)) for layer in up(ngf << (level + 1), ngf << level, norm)]
