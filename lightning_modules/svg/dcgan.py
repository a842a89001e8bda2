from collections.abc import Sequence

from torch import Tensor, nn

from lightning_modules.svg.blocks import BOTTOM, Decoder, Encoder, normed

WIDEST = 8  # times nf


def widths(nf: int, size: int) -> list[int]:
    """Channels of the maps, finest first: nf, 2 nf, 4 nf, 8 nf, 8 nf, as many as halve `size` to 4."""
    halvings = (size // BOTTOM).bit_length() - 1
    return [nf * min(2**level, WIDEST) for level in range(halvings)]


class DownBlock(nn.Module):
    """Halves height and width."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*normed(nn.Conv2d(channels, out, 4, 2, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """N C H W -> N out H/2 W/2."""
        return self.main(x)


class UpBlock(nn.Module):
    """Layers of a level that doubles height and width; `Decoder` runs them."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*normed(nn.ConvTranspose2d(channels, out, 4, 2, 1)))


class DcganEncoder(Encoder):
    """Strided convolutions; maps are taken behind each, from half the frame's size down to 4.

    Args:
        channels: C of the frames.
        g_dim: length of a code.
        nf: channels of the finest maps.
        size: 64 or 128 (official), or 32.
    """

    def __init__(self, channels: int, g_dim: int, nf: int, size: int) -> None:
        super().__init__()
        levels = [channels, *widths(nf, size)]
        for i in range(1, len(levels)):
            self.add_module(f"c{i}", DownBlock(levels[i - 1], levels[i]))
        self.add_module(f"c{len(levels)}", nn.Sequential(*normed(nn.Conv2d(levels[-1], g_dim, BOTTOM), nn.Tanh())))

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Encoder`."""
        *blocks, last = self.children()
        maps = []
        x = frames
        for block in blocks:
            x = block(x)  # N C H/2 W/2
            maps.append(x)
        return last(x).flatten(1), maps


class DcganDecoder(Decoder):
    """Transposed convolutions, each of the features beside the encoder's map of the same size.

    Args: of `DcganEncoder`.
    """

    def __init__(self, channels: int, g_dim: int, nf: int, size: int) -> None:
        super().__init__()
        *finer, widest = widths(nf, size)
        self.upc1 = nn.Sequential(*normed(nn.ConvTranspose2d(g_dim, widest, BOTTOM)))
        features = widest
        for i, out in enumerate(reversed(finer), start=2):
            self.add_module(f"upc{i}", UpBlock(2 * features, out))
            features = out
        last = nn.Sequential(nn.ConvTranspose2d(2 * features, channels, 4, 2, 1), nn.Sigmoid())
        self.add_module(f"upc{len(finer) + 2}", last)

    def first(self, codes: Tensor) -> Tensor:
        """See `Decoder`."""
        return self.upc1(codes[..., None, None])

    def levels(self) -> Sequence[Sequence[nn.Module]]:
        """See `Decoder`."""
        _, *levels = self.children()
        return [list(level.main if isinstance(level, UpBlock) else level.children()) for level in levels]
