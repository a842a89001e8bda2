"""The networks of Deformable GAN (Siarohin et al. 2018, section 3), as the released code builds them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.deformable_gan.joints import JOINTS
from lightning_modules.deformable_gan.regions import Regions
from lightning_modules.deformable_gan.transformer import SpatialTransformer
from lightning_modules.deformable_gan.warp import Aggregate, MaskFrame, Sampling, warp

WarpSkip = Literal["none", "full", "mask", "stn"]
SLOPE = 0.2
WARPED = 4  # how many of the first levels' skip connections are deformed
DROPPED = 3  # how many of the decoder's first maps are thinned out


def channels(size: tuple[int, int], width: int) -> tuple[list[int], list[int]]:
    """The official networks' channels: of the encoders' levels, and of the decoder's steps but the last, an image.

    Args:
        size: height and width; at 256 pixels there is one level more.
        width: of the first level, 64 in the official code.
    """
    deep = 3 if max(size) < 256 else 4
    return [width, 2 * width, 4 * width] + [8 * width] * deep, [8 * width] * deep + [4 * width, 2 * width]


class SampleNorm(nn.Module):
    """(x - mean) / (std + eps) over height, width and channels of each sample, with one factor and one shift for all.

    The released code calls it instance normalisation; its layer's default takes all axes, however.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """N C H W, the same; in float32 inside."""
        std, mean = torch.std_mean(x.float(), (1, 2, 3), correction=0, keepdim=True)
        return ((x - mean) * (self.weight / (std + self.eps)) + self.bias).to(x.dtype)


class Down(nn.Module):
    """Leaky ReLU, then a convolution to half the size, then the norm where there is one."""

    def __init__(self, inputs: int, outputs: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = SampleNorm() if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """N C H W -> N C' H/2 W/2."""
        return self.norm(self.conv(F.leaky_relu(x, SLOPE)))


class Up(nn.Module):
    """ReLU, then a transposed convolution to twice the size, then the norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = SampleNorm()

    def forward(self, x: Tensor) -> Tensor:
        """N C H W -> N C' 2H 2W."""
        return self.norm(self.conv(F.relu(x)))


class Encoder(nn.Sequential):
    """A 3x3 convolution, then halvings; the last has no norm."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        first = nn.Conv2d(inputs, widths[0], 3, padding=1)
        last = len(widths) - 2
        super().__init__(first, *(Down(a, b, i < last) for i, (a, b) in enumerate(pairwise(widths))))

    def levels(self, x: Tensor) -> list[Tensor]:
        """N C H W -> the map of every level, the largest first."""
        out = []
        for layer in self:
            x = layer(x)
            out.append(x)
        return out


class Generator(nn.Module):
    """Image of a person, its pose, a wanted pose -> image in the wanted pose.

    With `warp_skip` other than `none` two encoders share no weights: one sees image and pose, the other the wanted
    pose; skip connections of the first are deformed.

    Args:
        warp_skip: `none`, one encoder, nothing deformed (the paper's baseline); `full`, one map for the whole body;
            `mask`, one for each region (deformable skip connections); `stn`, one that a small network makes of the
            joints' places.
        encoder: channels of the levels.
        decoder: channels of the steps up, one less; an image follows.
        aggregate, sampling, masks_of: see `warp.warp`.
    """

    def __init__(
        self,
        warp_skip: WarpSkip,
        encoder: Sequence[int],
        decoder: Sequence[int],
        aggregate: Aggregate = "max",
        sampling: Sampling = "nearest",
        masks_of: MaskFrame = "target",
    ) -> None:
        super().__init__()
        self.warp_skip, self.aggregate, self.sampling, self.masks_of = warp_skip, aggregate, sampling, masks_of
        both = warp_skip != "none"
        self.appearance = Encoder(3 + JOINTS if both else 3 + 2 * JOINTS, encoder)
        self.pose = Encoder(JOINTS, encoder) if both else None
        self.transformer = SpatialTransformer() if warp_skip == "stn" else None
        skips = [c * (1 + both) for c in reversed(encoder)]
        ups = [0, *decoder]
        self.decoder = nn.ModuleList(Up(a + skip, b) for a, b, skip in zip(ups, decoder, skips, strict=False))
        self.image = nn.Conv2d(decoder[-1] + skips[-1], 3, 3, padding=1)
        self.apply(init_glorot)

    def forward(
        self,
        image: Tensor,
        own: Tensor,
        wanted: Tensor,
        regions: Regions | None = None,
        places: Tensor | None = None,
        kept: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """One image in [-1, 1] for each.

        Args:
            image: N 3 H W in [-1, 1].
            own, wanted: N 18 H W, heat maps of the pose it has and of the pose it shall have.
            regions: for `full` and `mask`.
            places: N 72, for `stn`; see `transformer.places`.
            kept: three tensors of the decoder's first maps' shapes, which these are multiplied by: dropout whose
                noise comes from outside. None drops out while training only.
        """
        skips = self.skips(image, own, wanted, regions, places)
        x = skips[-1]
        for i, up in enumerate(self.decoder):
            x = up(x if i == 0 else torch.cat([x, skips[-1 - i]], 1))
            if i < DROPPED:
                x = F.dropout(x, training=self.training) if kept is None else x * kept[i]
        return torch.tanh(self.image(F.relu(torch.cat([x, skips[0]], 1))))

    def skips(
        self, image: Tensor, own: Tensor, wanted: Tensor, regions: Regions | None = None, places: Tensor | None = None
    ) -> list[Tensor]:
        """What the decoder takes over from the encoders, the largest map first."""
        if self.pose is None:
            return self.appearance.levels(torch.cat([image, own, wanted], 1))
        out = []
        pairs = zip(self.appearance.levels(torch.cat([image, own], 1)), self.pose.levels(wanted), strict=True)
        for level, (seen, asked) in enumerate(pairs):
            if level < WARPED:
                seen = self._deformed(seen, regions, places)
            out.append(torch.cat([seen, asked], 1))
        return out

    def dropped(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Shapes of the maps that are dropped out of, for an image of that size."""
        smallest = len(self.decoder)
        widths = [m.out_channels for up in self.decoder for m in up.modules() if isinstance(m, nn.ConvTranspose2d)]
        return [(c, height >> (smallest - i - 1), width >> (smallest - i - 1)) for i, c in enumerate(widths[:DROPPED])]

    def _deformed(self, features: Tensor, regions: Regions | None, places: Tensor | None) -> Tensor:
        if self.transformer is not None:
            assert places is not None
            return self.transformer(features, places)
        assert regions is not None
        return warp(features, regions, self.aggregate, self.sampling, self.masks_of)


class Discriminator(nn.Module):
    """Two images with their poses -> a map of logits of the second being real (the code's `disc_type` call).

    Args:
        width: channels of the first layer, 64 in the official code.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * (3 + JOINTS), width, 4, stride=2)  # no padding, alone of all layers
        widths = [width, 2 * width, 4 * width, 8 * width]
        downs = [Down(a, b) for a, b in pairwise(widths)]
        self.rest = nn.Sequential(*downs, Down(widths[-1], 1, norm=False))
        self.apply(init_glorot)

    def forward(self, image: Tensor, own: Tensor, other: Tensor, wanted: Tensor) -> Tensor:
        """Images N 3 H W and heat maps N 18 H W -> N 1 h w: 3 x 1 at 128 x 64, 7 x 7 at 256 x 256."""
        return self.rest(self.first(torch.cat([image, own, other, wanted], 1)))


def init_glorot(layer: nn.Module) -> None:
    """Keras' defaults: uniform by both fans, biases 0."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
