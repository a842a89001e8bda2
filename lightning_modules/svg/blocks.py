"""What the encoders and decoders of SVG are made of. Names of layers are the official ones: their weights fit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
BOTTOM = 4  # height and width of the coarsest maps that the code is made of
Conv = nn.Conv2d | nn.ConvTranspose2d


def normed(conv: Conv, activation: nn.Module | None = None) -> list[nn.Module]:
    """A convolution with batch normalisation and an activation, LeakyReLU unless told otherwise."""
    return [conv, nn.BatchNorm2d(conv.out_channels), activation or nn.LeakyReLU(SLOPE, inplace=True)]


class Encoder(nn.Module):
    """Frames N C H W in [0, 1] -> codes N g_dim in (-1, 1), and the maps that the decoder may see, finest first."""

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See the class."""
        raise NotImplementedError(f"{type(self).__name__}.forward")


class Decoder(nn.Module):
    """Codes and the maps of an encoder -> frames.

    Each level convolves features beside a map of the same size. A convolution of two stacked inputs is the sum of
    their own, so a map that serves several frames is convolved once: `seen` gives its summand.
    """

    def first(self, codes: Tensor) -> Tensor:
        """N g_dim -> N C 4 4."""
        raise NotImplementedError(f"{type(self).__name__}.first")

    def levels(self) -> Sequence[Sequence[nn.Module]]:
        """Layers of each level, coarsest first; a level begins with the convolution that takes a map in."""
        raise NotImplementedError(f"{type(self).__name__}.levels")

    def grow(self, features: Tensor) -> Tensor:
        """What is done to features before they stand beside a map."""
        return features

    def seen(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """What each level adds for a frame's maps (finest first), coarsest first."""
        return [_half(level[0], m, 1) for level, m in zip(self.levels(), reversed(maps), strict=True)]

    def forward(self, codes: Tensor, seen: Sequence[Tensor]) -> Tensor:
        """Frames N C H W in [0, 1].

        Args:
            codes: N g_dim.
            seen: of `seen`, each N C H W.
        """
        x = self.first(codes)
        for (conv, *rest), summand in zip(self.levels(), seen, strict=True):
            x = _half(conv, self.grow(x), 0) + summand
            for layer in rest:
                x = layer(x)
        return x


def _half(conv: nn.Module, x: Tensor, which: int) -> Tensor:
    """What `conv` makes of one half of its input channels; the bias goes with the second."""
    assert isinstance(conv, Conv)
    weight = conv.weight.chunk(2, 0 if conv.transposed else 1)[which]
    bias = conv.bias if which else None
    if conv.transposed:
        return F.conv_transpose2d(x, weight, bias, conv.stride, conv.padding)  # type: ignore[arg-type]
    return F.conv2d(x, weight, bias, conv.stride, conv.padding)


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    """Its batch normalisations."""
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Normalises by the batch inside, in eval mode too, and leaves the running statistics alone."""
    layers = norms(module)
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    for layer in layers:
        layer.training, layer.track_running_stats = True, False
    try:
        yield
    finally:
        for layer, (training, tracked) in zip(layers, before, strict=True):
            layer.training, layer.track_running_stats = training, tracked


@contextmanager
def updated_twice(module: nn.Module) -> Iterator[None]:
    """One pass inside moves the running statistics as two passes of the same batch would."""
    layers = norms(module)
    momenta = [layer.momentum for layer in layers]
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = None if momentum is None else 1 - (1 - momentum) ** 2
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def init_weights(module: nn.Module) -> None:
    """The official start: N(0, 0.02) for convolutions and linear layers, N(1, 0.02) for norms' scales, shifts 0.

    Cells of LSTMs keep PyTorch's start.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | Conv):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
