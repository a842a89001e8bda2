"""Frames to features and codes to frames."""

from typing import NamedTuple

from torch import Tensor, nn

from datamodules.errors import BenchError


class Layer(NamedTuple):
    """A convolution without padding.

    Attributes:
        kernel, stride: of the convolution and of the deconvolution that undoes it.
        rest: rows and columns at the far ends that the convolution does not reach and the deconvolution adds.
    """

    kernel: int
    stride: int
    rest: int


# By the frames' size. 64: a public re-implementation's; 32: ours, the same plan with smaller kernels. Both have two
# layers that shrink the map by the stride, and end in a map of `BOTTOM`.
LAYERS = {
    64: (Layer(9, 1, 0), Layer(7, 3, 1), Layer(5, 1, 0), Layer(3, 3, 1)),
    32: (Layer(5, 1, 0), Layer(5, 3, 2), Layer(3, 1, 0), Layer(3, 3, 0)),
}
BOTTOM = {64: 4, 32: 2}


def check_size(size: int, widths: tuple[int, ...]) -> None:
    """Raises `BenchError` for frames or widths that there are no layers for."""
    if size not in LAYERS:
        raise BenchError(f"model.init_args.size must be one of {sorted(LAYERS)} for VideoVAE, found {size}")
    if len(widths) != len(LAYERS[size]) or min(widths) < 1:
        raise BenchError(f"model.init_args.widths must be {len(LAYERS[size])} channel counts, found {list(widths)}")


class FrameEncoder(nn.Module):
    """B C H W in [-1, 1] -> B dim_features. Every frame is seen alone.

    Convolutions have no bias, since BatchNorm takes the mean away.
    """

    def __init__(
        self, size: int, channels: int, widths: tuple[int, ...], dim_hidden: int, dim_features: int, dropout: float
    ) -> None:
        super().__init__()
        maps: list[nn.Module] = []
        for into, out, layer in zip((channels, *widths), widths, LAYERS[size], strict=False):
            maps += [nn.Conv2d(into, out, layer.kernel, layer.stride, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        self.maps = nn.Sequential(*maps, nn.Dropout2d(dropout))
        self.hidden = nn.Linear(widths[-1] * BOTTOM[size] ** 2, dim_hidden)
        self.features = nn.Linear(dim_hidden, dim_features)

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        maps = self.maps(frames).flatten(1)  # B widths[-1] * BOTTOM ** 2
        out: Tensor = self.features(self.hidden(maps).relu())
        return out


class FrameDecoder(nn.Module):
    """B dim_z -> B C H W in [-1, 1]. Every frame is drawn from its own code alone."""

    def __init__(self, size: int, channels: int, widths: tuple[int, ...], dim_hidden: int, dim_z: int) -> None:
        super().__init__()
        self.shape = (widths[-1], BOTTOM[size], BOTTOM[size])
        self.hidden = nn.Linear(dim_z, dim_hidden)
        self.bottom = nn.Linear(dim_hidden, widths[-1] * BOTTOM[size] ** 2)
        maps: list[nn.Module] = []
        for layer, into, out in zip(LAYERS[size][:0:-1], widths[:0:-1], widths[-2::-1], strict=True):
            up = nn.ConvTranspose2d(into, out, layer.kernel, layer.stride, output_padding=layer.rest)
            maps += [up, nn.BatchNorm2d(out), nn.ReLU()]
        last = LAYERS[size][0]
        self.maps = nn.Sequential(*maps, nn.ConvTranspose2d(widths[0], channels, last.kernel, bias=False), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """See the class."""
        bottom = self.bottom(self.hidden(z).relu()).unflatten(1, self.shape)  # B widths[-1] BOTTOM BOTTOM
        out: Tensor = self.maps(bottom)
        return out
