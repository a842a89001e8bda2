"""pix2pixHD's discriminators (section 3.2): patch discriminators on several scales of condition and picture."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.networks import Norm, norm_layer, reduce

WIDEST = 512
Judged = list[list[Tensor]]  # scale by scale, the full size first: the layers' maps, the last of which is the verdict


def patch_stages(input_nc: int, ndf: int, n_layers: int, norm: Norm) -> list[list[nn.Module]]:
    """A patch discriminator layer by layer: 4x4 convolutions, `n_layers` of which halve the size."""
    widths = [min(ndf << level, WIDEST) for level in range(n_layers + 1)]
    stages: list[list[nn.Module]] = [[nn.Conv2d(input_nc, ndf, 4, 2, 2), nn.LeakyReLU(0.2, inplace=True)]]
    for level, (below, above) in enumerate(pairwise(widths), start=1):
        convolution = nn.Conv2d(below, above, 4, 2 if level < n_layers else 1, 2)
        stages.append([convolution, norm_layer(norm, above), nn.LeakyReLU(0.2, inplace=True)])
    return [*stages, [nn.Conv2d(widths[-1], 1, 4, 1, 2)]]


class MultiscaleDiscriminator(nn.Module):
    """Patch discriminators of their own on the picture, its half, its quarter, ...

    Args:
        input_nc: channels of condition and picture together.
        ndf: width of the first layer.
        n_layers: halvings, see `patch_stages`.
        num_D: scales.
        norm: see `networks.norm_layer`.
        features: whether the layers' maps are given, for feature matching; the official files name layers otherwise
            without.
        widest: where given, the width doubles with every coarser scale, up to this, as vid2vid has it.
    """

    def __init__(
        self,
        input_nc: int,
        ndf: int,
        n_layers: int,
        num_D: int,
        norm: Norm = "instance",
        features: bool = True,
        widest: int | None = None,
    ) -> None:
        super().__init__()
        self.num_D, self.depth, self.features = num_D, n_layers + 2, features
        for i in range(num_D):
            width = ndf if widest is None else min(widest, ndf << (num_D - 1 - i))
            stages = patch_stages(input_nc, width, n_layers, norm)
            if features:
                for j, stage in enumerate(stages):
                    self.add_module(f"scale{i}_layer{j}", nn.Sequential(*stage))
            else:
                self.add_module(f"layer{i}", nn.Sequential(*(layer for stage in stages for layer in stage)))

    def idle(self, skip: int) -> frozenset[str]:
        """Parts that `forward` leaves out with `skip`; only of discriminators that give their layers' maps."""
        left_out = range(self.num_D - skip, self.num_D)
        return frozenset(f"scale{i}_layer{j}" for i in left_out for j in range(self.depth))

    def forward(self, x: Tensor, skip: int = 0) -> Judged:
        """N input_nc H W -> see `Judged`; each halving of side n by a layer gives n/2 + 1.

        Args:
            skip: scales left out, the finest first, where `x` is smaller than what they judge.
        """
        judged = []
        for i in reversed(range(self.num_D - skip)):  # the official code numbers the scales from the coarsest
            if self.features:
                maps = [x]
                for j in range(self.depth):
                    maps.append(self.get_submodule(f"scale{i}_layer{j}")(maps[-1]))
                judged.append(maps[1:])
            else:
                judged.append([self.get_submodule(f"layer{i}")(x)])
            if i:
                x = reduce(x)
        return judged


def parts(judged: Judged) -> tuple[Judged, Judged]:
    """The verdicts on the two halves of a batch."""
    halves = [[m.chunk(2) for m in maps] for maps in judged]
    return [[a for a, _ in maps] for maps in halves], [[b for _, b in maps] for maps in halves]


def judge_both(
    discriminator: nn.Module, real: Tensor, fake: Tensor, norm: Norm, skip: int = 0
) -> tuple[Judged, Judged]:
    """The verdicts on real and fake pictures: in one pass, but where BatchNorm would mix them."""
    if norm == "batch":
        return discriminator(real, skip), discriminator(fake, skip)
    return parts(discriminator(torch.cat([real, fake]), skip))
