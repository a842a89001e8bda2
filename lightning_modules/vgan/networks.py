"""VGAN's networks (Vondrick, Pirsiavash, Torralba, NIPS 2016, arXiv 1609.02612).

At 64 pixels and 32 frames they are the official ones. Each halving of the size leaves out one level. The first kernel
of the video stream and the last of the discriminator span the frames that are left at the bottom: 2 for 32 frames at
64 pixels or 16 at 32, 1 for half as many, which the official code does not have.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError

DISCRIMINATOR_EPS = 1e-3  # Torch7's default for BatchNorm over images and volumes; the generator's is set to 1e-5
GENERATOR_EPS = 1e-5


def levels(size: int) -> int:
    """Halvings between `size` pixels and the 4 x 4 map at the bottom."""
    n = size.bit_length() - 3
    if n < 1 or size != 4 * 2**n:
        raise BenchError(f"VGAN's networks are built for 8, 16, 32, 64, ... pixels, found size {size}")
    return n


def bottom_frames(frames: int, size: int) -> int:
    """Frames of the map at the bottom, 1 or 2."""
    n = levels(size)
    if frames not in (2**n, 2 ** (n + 1)):
        raise BenchError(f"VGAN makes {2**n} or {2 ** (n + 1)} frames at size {size}, found {frames} frames")
    return frames >> n


def widths(width: int, size: int) -> list[int]:
    """Channels of the hidden levels from the first to the last: `width` times ..., 4, 2, 1."""
    return [width * 2**i for i in reversed(range(levels(size)))]


def _up(inputs: int, outputs: int, dims: int, first: tuple[int, ...] | None = None) -> nn.Module:
    conv: Any = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
    up: nn.Module = conv(inputs, outputs, first, 1, 0) if first else conv(inputs, outputs, 4, 2, 1)
    return up


class Stream(nn.Module):
    """Transposed convolutions with BatchNorm and ReLU, as `conv0 bn0 conv1 bn1 ...`.

    Args:
        inputs: channels of the code.
        widths: channels after each layer.
        dims: 2 over the image, 3 over the video.
        first: kernel of the first layer, which has stride 1; None makes it double its input like the others.
    """

    def __init__(self, inputs: int, widths: Sequence[int], dims: int, first: tuple[int, ...] | None) -> None:
        super().__init__()
        norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
        self.depth = len(widths)
        for i, (below, above) in enumerate(zip([inputs, *widths], widths, strict=False)):
            self.add_module(f"conv{i}", _up(below, above, dims, None if i else first))
            self.add_module(f"bn{i}", norm(above, eps=GENERATOR_EPS))

    def hidden(self, x: Tensor) -> Tensor:
        """B C (T) H W -> the last hidden map."""
        for i in range(self.depth):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
        return x


class Background(Stream):
    """The static stream: one picture, B C H W in [-1, 1]."""

    def __init__(self, inputs: int, widths: Sequence[int], channels: int, first: tuple[int, ...] | None) -> None:
        super().__init__(inputs, widths, 2, first)
        self.add_module(f"conv{self.depth}", _up(widths[-1], channels, 2))

    def forward(self, code: Tensor) -> Tensor:
        """B C 1 1 or B C 4 4 -> B C H W."""
        return torch.tanh(self.get_submodule(f"conv{self.depth}")(self.hidden(code)))


class Foreground(Stream):
    """The moving stream: a video B C T H W in [-1, 1] and, with `masked`, where it covers the background."""

    def __init__(
        self, inputs: int, widths: Sequence[int], channels: int, first: tuple[int, ...], masked: bool = True
    ) -> None:
        super().__init__(inputs, widths, 3, first)
        self.gen = _up(widths[-1], channels, 3)
        self.mask = _up(widths[-1], 1, 3) if masked else None

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor | None]:
        """B C 1 H W -> B C T H W and, in [0, 1], B 1 T H W."""
        x = self.hidden(code)
        return torch.tanh(self.gen(x)), None if self.mask is None else torch.sigmoid(self.mask(x))


class Layers(NamedTuple):
    """What a generator makes: video = mask * foreground + (1 - mask) * background.

    Attributes:
        video: B C T H W in [-1, 1].
        mask: B 1 T H W in [0, 1]; None with one stream.
        background: B C H W in [-1, 1]; None with one stream.
    """

    video: Tensor
    mask: Tensor | None
    background: Tensor | None


def combine(foreground: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    """The mask is repeated over colour, the background over time (section 3.2)."""
    return mask * foreground + (1 - mask) * background.unsqueeze(2)  # B C T H W


class TwoStreamGenerator(nn.Module):
    """A moving foreground before a static background, both from one code z (section 3.2).

    Args:
        dim_z: length of z.
        widths: channels of both streams' hidden levels.
        channels: C of the frames.
        bottom: frames after the first layer of the video stream.
    """

    def __init__(self, dim_z: int, widths: Sequence[int], channels: int = 3, bottom: int = 2) -> None:
        super().__init__()
        self.dim_z = dim_z
        self.static = Background(dim_z, widths, channels, (4, 4))
        self.video = Foreground(dim_z, widths, channels, (bottom, 4, 4))

    def forward(self, z: Tensor) -> Layers:
        """B dim_z -> layers."""
        return self.layers(z, z)

    def layers(self, still: Tensor, moving: Tensor) -> Layers:
        """The background of one code behind the foreground of another, both B dim_z."""
        foreground, mask = self.video(moving[..., None, None, None])
        background = self.static(still[..., None, None])
        assert mask is not None
        return Layers(combine(foreground, mask, background), mask, background)


class OneStreamGenerator(nn.Module):
    """The baseline without layers: the video stream alone (section 3.1; not in the official code)."""

    def __init__(self, dim_z: int, widths: Sequence[int], channels: int = 3, bottom: int = 2) -> None:
        super().__init__()
        self.dim_z = dim_z
        self.video = Foreground(dim_z, widths, channels, (bottom, 4, 4), masked=False)

    def forward(self, z: Tensor) -> Layers:
        """B dim_z -> layers, of which only the video is there."""
        return Layers(self.video(z[..., None, None, None])[0], None, None)


class FrameEncoder(nn.Module):
    """One frame to the code at the bottom, B C 4 4; strided convolutions, ReLU, BatchNorm but in the first."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.depth = len(widths)
        for i, (below, above) in enumerate(zip([channels, *widths], widths, strict=False)):
            self.add_module(f"conv{i}", nn.Conv2d(below, above, 4, 2, 1))
            if i:
                self.add_module(f"bn{i}", nn.BatchNorm2d(above, eps=DISCRIMINATOR_EPS))

    def forward(self, frame: Tensor) -> Tensor:
        """B C H W in [-1, 1] -> B width 4 4."""
        x = frame
        for i in range(self.depth):
            x = self.get_submodule(f"conv{i}")(x)
            x = F.relu(self.get_submodule(f"bn{i}")(x) if i else x)
        return x


class ConditionalGenerator(nn.Module):
    """The future of one frame: an encoder in place of z, then the two streams (section 4.4). It draws nothing.

    Args:
        encoder: channels of the encoder's levels.
        widths: channels of the video stream's levels, the first of which keeps the code's size; the background's are
            those after it.
        channels: C of the frames.
        bottom: frames after the first layer of the video stream.
    """

    def __init__(self, encoder: Sequence[int], widths: Sequence[int], channels: int = 3, bottom: int = 2) -> None:
        super().__init__()
        self.enc = FrameEncoder(channels, encoder)
        self.static = Background(encoder[-1], widths[1:], channels, None)
        self.video = Foreground(encoder[-1], widths, channels, (bottom, 1, 1))

    def forward(self, frame: Tensor) -> Layers:
        """B C H W in [-1, 1] -> layers."""
        code = self.enc(frame)  # B width 4 4
        foreground, mask = self.video(code.unsqueeze(2))
        background = self.static(code)
        assert mask is not None
        return Layers(combine(foreground, mask, background), mask, background)


class Discriminator(nn.Module):
    """Two logits a clip: real, fake. Strided 3-D convolutions, LeakyReLU 0.2, BatchNorm but in the first.

    Args:
        channels: C of the frames.
        widths: channels of the levels, from the clip to the bottom.
        bottom: frames left at the bottom, which the last kernel spans.
        classes: logits.
    """

    def __init__(self, channels: int, widths: Sequence[int], bottom: int = 2, classes: int = 2) -> None:
        super().__init__()
        self.depth = len(widths)
        for i, (below, above) in enumerate(zip([channels, *widths], widths, strict=False)):
            self.add_module(f"conv{i}", nn.Conv3d(below, above, 4, 2, 1))
            if i:
                self.add_module(f"bn{i}", nn.BatchNorm3d(above, eps=DISCRIMINATOR_EPS))
        self.add_module(f"conv{self.depth}", nn.Conv3d(widths[-1], classes, (bottom, 4, 4)))

    def features(self, clips: Tensor) -> Tensor:
        """B C T H W -> B width bottom 4 4, from which actions are recognised too."""
        x = clips
        for i in range(self.depth):
            x = self.get_submodule(f"conv{i}")(x)
            x = F.leaky_relu(self.get_submodule(f"bn{i}")(x) if i else x, 0.2)
        return x

    def forward(self, clips: Tensor) -> Tensor:
        """B C T H W in [-1, 1] -> B classes."""
        return self.get_submodule(f"conv{self.depth}")(self.features(clips)).flatten(1)


def init_weights(network: nn.Module) -> None:
    """As the official code starts: convolutions N(0, 0.01), BatchNorm scales N(1, 0.02), all shifts 0."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.normal_(layer.weight, 0, 0.01)
        elif isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(layer.weight, 1, 0.02)
        else:
            continue
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
