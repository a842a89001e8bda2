"""MoCoGAN's networks (Tulyakov et al., CVPR 2018, section 3), with the official code's state-dict keys.

At 64 pixels they are the official ones. At 32 pixels each has one layer less: the generator lacks its last upsampling
block, a discriminator its widest layer.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from datamodules.errors import BenchError

SIZES = (32, 64)


def _halvings(size: int) -> int:
    """Strided layers between `size` pixels and the 4 x 4 map at the bottom, the first and the last not counted."""
    if size not in SIZES:
        raise BenchError(f"MoCoGAN's networks are built for {SIZES} pixels, found size {size}")
    return int(math.log2(size)) - 3


class VideoGenerator(nn.Module):
    """A GRU walks through motion space, an image generator renders each frame on its own.

    Args:
        channels: C of the frames.
        dim_content: of z_C, one draw per clip.
        dim_category: categories of the one-hot z_A, one per clip; 0 for none.
        dim_motion: of the noise eps that enters the GRU at each frame, and of the motion code z_M that it gives.
        ngf: width of the last hidden layer.
        size: pixels, 64 or 32.
        category_input: where z_A enters: the `image` generator (official code), or the `gru` (the paper's default).
    """

    def __init__(
        self,
        channels: int = 3,
        dim_content: int = 50,
        dim_category: int = 0,
        dim_motion: int = 10,
        ngf: int = 64,
        size: int = 64,
        category_input: Literal["image", "gru"] = "image",
    ) -> None:
        super().__init__()
        self.dim_content, self.dim_category, self.dim_motion = dim_content, dim_category, dim_motion
        self.category_input = category_input
        moved, shown = (dim_category, 0) if category_input == "gru" else (0, dim_category)
        self.recurrent = nn.GRUCell(moved + dim_motion, dim_motion)
        n = _halvings(size)
        widths = [ngf * 2 ** (3 - i) for i in range(n + 1)]  # 64 px: 8, 4, 2, 1 x ngf at 4, 8, 16, 32 pixels
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(dim_content + shown + dim_motion, widths[0], 4, 1, 0, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for narrow, wide in zip(widths[1:], widths, strict=False):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh())

    def one_hot(self, category: Tensor) -> Tensor:
        """B int64 -> B dim_category; B 0 without categories."""
        return F.one_hot(category, max(self.dim_category, 1))[:, : self.dim_category].float()

    def latents(self, h0: Tensor, e: Tensor, content: Tensor, category: Tensor) -> Tensor:
        """The code of every frame: [z_C, z_A, z_M], or [z_C, z_M] where z_A enters the GRU, as [z_A, eps].

        Args:
            h0: B dim_motion, the GRU's first state: drawn from N(0, I) too, and not itself a frame's code.
            e: B T dim_motion.
            content: B dim_content.
            category: B dim_category, one-hot.

        Returns:
            B T dim_content + dim_category + dim_motion, or B T dim_content + dim_motion.
        """
        h, codes = h0, []
        for eps in e.unbind(1):
            h = self.recurrent(torch.cat([category.to(eps.dtype), eps], 1) if self.category_input == "gru" else eps, h)
            codes.append(h)
        motion = torch.stack(codes, 1)
        still = content if self.category_input == "gru" else torch.cat([content, category], 1)
        return torch.cat([still[:, None].expand(-1, motion.shape[1], -1).to(motion.dtype), motion], 2)

    def forward(self, h0: Tensor, e: Tensor, content: Tensor, category: Tensor, at: Tensor | None = None) -> Tensor:
        """Renders clips, or one frame of each clip.

        Args:
            h0, e, content, category: see `latents`.
            at: B int64, the frame to render of each clip; None for all frames.

        Returns:
            B C T H W, or B C H W with `at`, in [-1, 1].
        """
        z = self.latents(h0, e, content, category)
        if at is not None:
            return self.main(z[torch.arange(len(z), device=z.device), at][..., None, None])
        frames = self.main(z.flatten(0, 1)[..., None, None])  # B*T C H W: BatchNorm sees all frames of all clips
        return frames.unflatten(0, z.shape[:2]).transpose(1, 2)


class Noise(nn.Module):
    """Adds N(0, sigma^2), in evaluation mode too as the official code does."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if not self.sigma:
            return x
        noise = torch.empty_like(x)
        # Drawn along memory: whatever else is not contiguous is drawn number by number, several times as slowly.
        noise.as_strided((noise.numel(),), (1,)).normal_(0, self.sigma)
        return noise.add_(x)


def _halve2d(below: int, above: int) -> nn.Module:
    return nn.Conv2d(below, above, 4, 2, 1, bias=False)


def _halve3d(below: int, above: int) -> nn.Module:
    """Halves height and width, takes three frames away."""
    return nn.Conv3d(below, above, 4, (1, 2, 2), (0, 1, 1), bias=False)


def _trunk(
    halve: Callable[[int, int], nn.Module], norm: Callable[[int], nn.Module], channels: int, widths: list[int], s: float
) -> Iterator[nn.Module]:
    """Noise of deviation `s`, convolution, BatchNorm (not in the first layer), LeakyReLU for each of `widths`."""
    for i, (above, below) in enumerate(zip(widths, [channels, *widths], strict=False)):
        yield Noise(s)
        yield halve(below, above)
        if i:
            yield norm(above)
        yield nn.LeakyReLU(0.2, inplace=True)


class Discriminator(nn.Module):
    """Raw logits, B classes ...: class 0 is real or fake, Q's categories follow."""

    main: nn.Sequential

    def forward(self, x: Tensor) -> Tensor:
        """Images B C H W or clips B C T H W."""
        if x.ndim == 5 and x.device.type == "cpu":  # 12 % of a training step: else gradients are copied into NCDHW
            x = x.contiguous(memory_format=torch.channels_last_3d)
        return self.main(x)

    @property
    def min_frames(self) -> int:
        """The shortest clip that leaves a logit: each 3-D kernel takes three frames away."""
        return 1 + 3 * sum(isinstance(layer, nn.Conv3d) for layer in self.main)


class ImageDiscriminator(Discriminator):
    """One logit per image, B 1 1 1."""

    def __init__(self, channels: int = 3, ndf: int = 64, size: int = 64, sigma: float = 0.0) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_halvings(size) + 1)]
        head = nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)
        self.main = nn.Sequential(*_trunk(_halve2d, nn.BatchNorm2d, channels, widths, sigma), head)


class PatchImageDiscriminator(Discriminator):
    """A map of logits per image, B 1 4 4."""

    def __init__(self, channels: int = 3, ndf: int = 64, size: int = 64, sigma: float = 0.0) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_halvings(size))]
        head = [Noise(sigma), _halve2d(widths[-1], 1)]
        self.main = nn.Sequential(*_trunk(_halve2d, nn.BatchNorm2d, channels, widths, sigma), *head)


class VideoDiscriminator(Discriminator):
    """One logit per clip of `min_frames`, B 1 1 1 1; a longer clip has one per window, B 1 T' 1 1."""

    def __init__(
        self, channels: int = 3, ndf: int = 64, size: int = 64, sigma: float = 0.0, dim_category: int = 0
    ) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_halvings(size) + 1)]
        head = nn.Conv3d(widths[-1], 1 + dim_category, 4, 1, 0, bias=False)
        self.main = nn.Sequential(*_trunk(_halve3d, nn.BatchNorm3d, channels, widths, sigma), head)


class CategoricalVideoDiscriminator(VideoDiscriminator):
    """D_V and Q share a trunk: B 1+dim_category T' 1 1, logit 0 is D_V's, the others are Q's."""

    def __init__(
        self, channels: int = 3, dim_category: int = 6, ndf: int = 64, size: int = 64, sigma: float = 0.0
    ) -> None:
        super().__init__(channels, ndf, size, sigma, dim_category)


class PatchVideoDiscriminator(Discriminator):
    """A map of logits per clip, B 1 T' 4 4."""

    def __init__(self, channels: int = 3, ndf: int = 64, size: int = 64, sigma: float = 0.0) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_halvings(size))]
        head = _halve3d(widths[-1], 1)
        self.main = nn.Sequential(*_trunk(_halve3d, nn.BatchNorm3d, channels, widths, sigma), head)


def frame_encoder(channels: int, width: int, size: int, codes: int) -> nn.Sequential:
    """B C H W -> B codes 1 1: the image discriminator's layers with another head; not in the official code."""
    widths = [width * 2**i for i in range(_halvings(size) + 1)]
    head = nn.Conv2d(widths[-1], codes, 4, 1, 0)
    return nn.Sequential(*_trunk(_halve2d, nn.BatchNorm2d, channels, widths, 0.0), head)


def init_torch02(network: nn.Module) -> None:
    """What torch 0.2 did by default, on which the official code ran.

    Unlike today BatchNorm scales start in U(0, 1), and transposed convolutions in U(-b, b) with
    b = 1 / sqrt(in_channels * kernel size), where today's fan counts the output channels. Convolutions and the GRU
    start as they do today. From memory of that release's source, not checked against it.
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            bound = 1 / math.sqrt(layer.in_channels * math.prod(layer.kernel_size))
            nn.init.uniform_(layer.weight, -bound, bound)
        elif isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(layer.weight)


def use_spectral_norm(discriminator: Discriminator) -> None:
    """Holds each layer's largest singular value at 1, in place of BatchNorm (Miyato et al., arXiv 1802.05957, eq. 8).

    Not in MoCoGAN. Convolutions get a bias, which BatchNorm's shift was to them. A kernel is normalised as the matrix
    out_channels x the rest, by one step of power iteration each time it is used in training.
    """
    for i, layer in enumerate(discriminator.main):
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
            spectral_norm(layer)
        elif isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            discriminator.main[i] = nn.Identity()
