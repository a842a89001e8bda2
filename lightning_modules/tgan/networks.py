"""TGAN's networks (Saito, Matsumoto, Saito, ICCV 2017, arXiv 1611.06624), under the official code's names.

At 64 pixels they are the official ones. At 32 pixels the first map is 2 x 2 in place of 4 x 4, as the official
constructor allows. Chainer's `gamma` is `weight`, `beta` is `bias`; a layer without beta has a bias of 0 that does not
train.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError

FRAMES = 16
EPS = 2e-5  # Chainer's
SLOPE = 0.2


def bottom_width(size: int) -> int:
    """Side of the smallest map: `size` / 16."""
    if size < 32 or size % 16:
        raise BenchError(f"TGAN's networks are built for 32, 48, 64, ... pixels, found size {size}")
    return size // 16


def _norm(kind: type[nn.Module], channels: int, beta: bool = True) -> nn.Module:
    layer: nn.Module = kind(channels, eps=EPS)
    if not beta:
        layer.bias.requires_grad_(False)
    return layer


class FrameSeedGenerator(nn.Module):
    """The temporal generator G0: one code of the clip to a code of each of 16 frames.

    Args:
        z_slow_dim: length of z0.
        z_fast_dim: length of z1^t.
        widths: channels of the four hidden layers (official: 512, 256, 128, 128).
        beta: BatchNorm shifts; the configuration of the paper's numbers has none.
    """

    def __init__(
        self, z_slow_dim: int, z_fast_dim: int, widths: Sequence[int] = (512, 256, 128, 128), beta: bool = False
    ) -> None:
        super().__init__()
        self.z_slow_dim, self.z_fast_dim = z_slow_dim, z_fast_dim
        w = widths
        self.dc0 = nn.ConvTranspose1d(z_slow_dim, w[0], 1, 1, 0)
        self.dc1 = nn.ConvTranspose1d(w[0], w[1], 4, 2, 1)
        self.dc2 = nn.ConvTranspose1d(w[1], w[2], 4, 2, 1)
        self.dc3 = nn.ConvTranspose1d(w[2], w[3], 4, 2, 1)
        self.dc4 = nn.ConvTranspose1d(w[3], z_fast_dim, 4, 2, 1)
        self.bn0, self.bn1 = _norm(nn.BatchNorm1d, w[0], beta), _norm(nn.BatchNorm1d, w[1], beta)
        self.bn2, self.bn3 = _norm(nn.BatchNorm1d, w[2], beta), _norm(nn.BatchNorm1d, w[3], beta)

    def forward(self, z_slow: Tensor) -> Tensor:
        """B z_slow_dim -> B z_fast_dim 16 in [-1, 1]."""
        h = z_slow[..., None]  # B C 1
        h = F.relu(self.bn0(self.dc0(h)))
        h = F.relu(self.bn1(self.dc1(h)))  # B C 2
        h = F.relu(self.bn2(self.dc2(h)))  # B C 4
        h = F.relu(self.bn3(self.dc3(h)))  # B C 8
        return torch.tanh(self.dc4(h))


class ImageGenerator(nn.Module):
    """The image generator G1: a frame from the clip's code and its own.

    Args:
        z_slow_dim, z_fast_dim: lengths of both codes.
        channels: C of the frames.
        width: channels of the map at the bottom (official: 512).
        bottom: its side; frames are 16 times as wide.
    """

    def __init__(self, z_slow_dim: int, z_fast_dim: int, channels: int = 3, width: int = 512, bottom: int = 4) -> None:
        super().__init__()
        self.width, self.bottom = width, bottom
        flat = width // 2 * bottom**2
        self.l0s, self.l0f = nn.Linear(z_slow_dim, flat, bias=False), nn.Linear(z_fast_dim, flat, bias=False)
        self.bn0s, self.bn0f = _norm(nn.BatchNorm1d, flat), _norm(nn.BatchNorm1d, flat)
        widths = [width >> i for i in range(5)]
        for i, (below, above) in enumerate(pairwise(widths), start=1):
            self.add_module(f"dc{i}", nn.ConvTranspose2d(below, above, 4, 2, 1, bias=False))
            self.add_module(f"bn{i}", _norm(nn.BatchNorm2d, above))
        self.dc5 = nn.ConvTranspose2d(widths[4], channels, 3, 1, 1)

    def forward(self, z_slow: Tensor, z_fast: Tensor) -> Tensor:
        """N z_slow_dim, N z_fast_dim -> N C H W in [-1, 1]."""
        shape = (len(z_slow), self.width // 2, self.bottom, self.bottom)
        slow = F.relu(self.bn0s(self.l0s(z_slow))).reshape(shape)
        fast = F.relu(self.bn0f(self.l0f(z_fast))).reshape(shape)
        h = torch.cat([slow, fast], 1)
        for i in range(1, 5):
            h = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"dc{i}")(h)))
        return torch.tanh(self.dc5(h))


class VideoGenerator(nn.Module):
    """G0 and G1 together."""

    def __init__(self, frames: FrameSeedGenerator, image: ImageGenerator) -> None:
        super().__init__()
        self.fsgen, self.vgen = frames, image

    def forward(self, z_slow: Tensor) -> Tensor:
        """B z_slow_dim -> B C 16 H W."""
        return self.render(z_slow, self.fsgen(z_slow))

    def render(self, z_slow: Tensor, z_fast: Tensor) -> Tensor:
        """Frames of all clips in one batch, clip by clip: BatchNorm sees B*T frames.

        Args:
            z_slow: B z_slow_dim.
            z_fast: B z_fast_dim T.

        Returns:
            B C T H W.
        """
        count, _, length = z_fast.shape
        slow = z_slow[:, None].expand(-1, length, -1).flatten(0, 1)  # BT z_slow_dim
        frames = self.vgen(slow, z_fast.transpose(1, 2).flatten(0, 1))  # BT C H W
        return frames.unflatten(0, (count, length)).transpose(1, 2)


class Discriminator(nn.Module):
    """A score for each clip of 16 frames.

    Args:
        channels: C of the frames.
        width: channels of the first layer (official: 64).
        top: side of the last map, `size` / 16.
        beta: BatchNorm shifts.
        sigma: deviation of the noise before each LeakyReLU while training; 0.3 in the vanilla variant.
    """

    def __init__(
        self, channels: int = 3, width: int = 64, top: int = 4, beta: bool = False, sigma: float = 0.0
    ) -> None:
        super().__init__()
        self.sigma = sigma
        widths = [channels, *(width << i for i in range(4))]
        for i, (below, above) in enumerate(pairwise(widths)):
            self.add_module(f"c{i}", nn.Conv3d(below, above, 4, 2, 1))
            # bn0 is never called, in the official code neither, but its scale is clipped with the others.
            self.add_module(f"bn{i}", _norm(nn.BatchNorm3d, above, beta))
        self.get_submodule("bn0").requires_grad_(False)
        self.c4 = nn.Conv2d(widths[-1], 1, top, 1, 0)

    def forward(self, clips: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """B C 16 H W -> B 1 1 1; `noise` stands for the four draws from N(0, 1), in tests."""
        h = clips
        for i in range(4):
            h = self.get_submodule(f"c{i}")(h)
            h = self.get_submodule(f"bn{i}")(h) if i else h
            if self.sigma and self.training:
                h = h + self.sigma * (torch.randn_like(h) if noise is None else noise[i])
            h = F.leaky_relu(h, SLOPE)
        return self.c4(h.squeeze(2))  # one frame is left: B C 1 4 4


def init_chainer(network: nn.Module) -> None:
    """Chainer's default: N(0, 1 / fan_in), where a transposed convolution counts its outputs; shifts 0."""
    for layer in network.modules():
        if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Conv2d, nn.Conv3d, nn.Linear)):
            # The second axis and the kernel: a convolution's inputs, a transposed one's outputs.
            nn.init.normal_(layer.weight, 0, 1 / math.sqrt(layer.weight[0].numel()))
        if getattr(layer, "bias", None) is not None and isinstance(layer.bias, Tensor):
            nn.init.zeros_(layer.bias)


def init_he(network: nn.Module) -> None:
    """He et al. 2015, as the paper says of G0 and D: N(0, 2 / fan_in)."""
    init_chainer(network)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(math.sqrt(2))


def init_uniform(network: nn.Module, bound: float = 0.01) -> None:
    """Kernels in U(-bound, bound), shifts 0: G1."""
    init_chainer(network)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.uniform_(parameter, -bound, bound)
