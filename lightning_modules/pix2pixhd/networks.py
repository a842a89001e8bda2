"""pix2pixHD's generators (Wang et al., CVPR 2018, arXiv 1711.11585, section 3.1), with the official layers' names.

Everything is fully convolutional. A bias in front of InstanceNorm does nothing; it is kept because the official files
have it.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "batch"]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """InstanceNorm without parameters (official default), or BatchNorm with them."""
    return nn.InstanceNorm2d(channels) if norm == "instance" else nn.BatchNorm2d(channels)


def init_weights(module: nn.Module) -> None:
    """Draws the official start: convolutions from N(0, 0.02), BatchNorm's scale from N(1, 0.02) and its shift 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def reduce(x: Tensor) -> Tensor:
    """N C H W -> half the size: the mean of 3x3, at the border of what lies inside."""
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def seven(inputs: int, outputs: int) -> list[nn.Module]:
    """A 7x7 convolution that mirrors what lies outside."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7)]


def down(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    """Half the size; zeros lie outside, as in the official code."""
    return [nn.Conv2d(inputs, outputs, 3, 2, 1), norm_layer(norm, outputs), nn.ReLU(inplace=True)]


def up(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    """Twice the size."""
    return [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1), norm_layer(norm, outputs), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """Two mirrored 3x3 convolutions beside the identity; nothing follows the sum."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm_layer(norm, channels)),
            nn.ReLU(inplace=True),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm_layer(norm, channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        return x + self.conv_block(x)


class GlobalGenerator(nn.Module):
    """G1: 7x7, halvings, residual blocks, doublings, 7x7 and tanh, without skip connections.

    The feature encoder E is the same without residual blocks.

    Args:
        input_nc, output_nc: channels.
        ngf: width at full size; each halving doubles it.
        n_downsampling: halvings; sides must divide by 2 to this power.
        n_blocks: residual blocks.
        norm: see `norm_layer`.
    """

    def __init__(
        self, input_nc: int, output_nc: int, ngf: int, n_downsampling: int, n_blocks: int, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        widths = [ngf << level for level in range(n_downsampling + 1)]
        layers = [*seven(input_nc, ngf), norm_layer(norm, ngf), nn.ReLU(inplace=True)]
        for level in range(n_downsampling):
            layers += down(widths[level], widths[level + 1], norm)
        layers += [ResidualBlock(widths[-1], norm) for _ in range(n_blocks)]
        for level in reversed(range(n_downsampling)):
            layers += up(widths[level + 1], widths[level], norm)
        self.model = nn.Sequential(*layers, *seven(ngf, output_nc), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """N input_nc H W -> N output_nc H W in [-1, 1]."""
        return self.model(x)


class LocalEnhancer(nn.Module):
    """G2 around G1: coarse maps of G1 at half the size, added to maps of the full size, then a few residual blocks.

    Args:
        input_nc, output_nc: channels.
        ngf: width at full size; G1, at half the size, has `ngf` doubled for each enhancer.
        n_downsample_global, n_blocks_global: of G1.
        n_local_enhancers: how often the size is doubled beyond G1's; officially 1.
        n_blocks_local: residual blocks of each enhancer.
        norm: see `norm_layer`.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int,
        n_downsample_global: int,
        n_blocks_global: int,
        n_local_enhancers: int,
        n_blocks_local: int,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.width, self.output_nc = ngf << n_local_enhancers, output_nc
        whole = GlobalGenerator(input_nc, output_nc, self.width, n_downsample_global, n_blocks_global, norm)
        self.model = whole.model[:-3]  # all but the last convolution: maps, not a picture
        self.n_local_enhancers = n_local_enhancers
        for n in range(1, n_local_enhancers + 1):
            width = ngf << (n_local_enhancers - n)
            into = [*seven(input_nc, width), norm_layer(norm, width), nn.ReLU(inplace=True)]
            self.add_module(f"model{n}_1", nn.Sequential(*into, *down(width, 2 * width, norm)))
            out = [ResidualBlock(2 * width, norm) for _ in range(n_blocks_local)] + up(2 * width, width, norm)
            if n == n_local_enhancers:
                out += [*seven(width, output_nc), nn.Tanh()]
            self.add_module(f"model{n}_2", nn.Sequential(*out))

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """N input_nc H W -> N output_nc H W in [-1, 1].

        Args:
            frozen: no gradient reaches G1.
        """
        sizes = [x]
        for _ in range(self.n_local_enhancers):
            sizes.append(reduce(sizes[-1]))
        if frozen:
            with torch.no_grad():
                maps = self.model(sizes.pop())
        else:
            maps = self.model(sizes.pop())
        for n in range(1, self.n_local_enhancers + 1):
            maps = self.get_submodule(f"model{n}_2")(self.get_submodule(f"model{n}_1")(sizes.pop()) + maps)
        return maps
