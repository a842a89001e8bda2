from collections.abc import Sequence

from torch import Tensor, nn

from lightning_modules.svg.blocks import BOTTOM, Decoder, Encoder, normed

# Layers of each block, and its channels over those of the first; at 64 pixels the last block is left out.
BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


def blocks(nf: int, size: int) -> list[tuple[int, int]]:
    """Layers and channels of each block, finest first, as many as halve `size` to 4."""
    halvings = (size // BOTTOM).bit_length() - 1
    return [(layers, nf * times) for layers, times in BLOCKS[:halvings]]


class VggLayer(nn.Module):
    """A 3 x 3 convolution that keeps height and width."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*normed(nn.Conv2d(channels, out, 3, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """N C H W -> N out H W."""
        return self.main(x)


class VggEncoder(Encoder):
    """VGG16's convolutions with pooling behind each block; maps are taken before the pooling, from full size to 8.

    At 64 pixels it has 10 convolutions of VGG16's 13, as the official code, at 128 all.

    Args:
        channels: C of the frames.
        g_dim: length of a code.
        nf: channels of the finest maps.
        size: 64 or 128.
    """

    def __init__(self, channels: int, g_dim: int, nf: int, size: int) -> None:
        super().__init__()
        width = channels
        for i, (layers, out) in enumerate(blocks(nf, size), start=1):
            inputs = [width, *[out] * (layers - 1)]
            self.add_module(f"c{i}", nn.Sequential(*(VggLayer(n, out) for n in inputs)))
            width = out
        head = nn.Sequential(*normed(nn.Conv2d(width, g_dim, BOTTOM), nn.Tanh()))
        self.add_module(f"c{len(blocks(nf, size)) + 1}", head)
        self.mp = nn.MaxPool2d(2, 2)

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Encoder`."""
        *levels, head, pool = self.children()
        maps = []
        x = frames
        for level in levels:
            maps.append(level(x))
            x = pool(maps[-1])  # N C H/2 W/2
        return head(x).flatten(1), maps


class VggDecoder(Decoder):
    """The encoder's blocks backwards, with nearest neighbours in place of pooling.

    Args: of `VggEncoder`.
    """

    def __init__(self, channels: int, g_dim: int, nf: int, size: int) -> None:
        super().__init__()
        levels = blocks(nf, size)[::-1]
        self.upc1 = nn.Sequential(*normed(nn.ConvTranspose2d(g_dim, levels[0][1], BOTTOM)))
        finer = [width for _, width in levels[1:]]
        for i, ((layers, width), out) in enumerate(zip(levels[:-1], finer, strict=True), start=2):
            inner = [2 * width, *[width] * (layers - 1)]
            outer = [width] * (layers - 1) + [out]
            self.add_module(f"upc{i}", nn.Sequential(*(VggLayer(n, m) for n, m in zip(inner, outer, strict=True))))
        last = [VggLayer(2 * nf, nf), nn.ConvTranspose2d(nf, channels, 3, 1, 1), nn.Sigmoid()]
        self.add_module(f"upc{len(levels) + 1}", nn.Sequential(*last))
        self.up = nn.UpsamplingNearest2d(scale_factor=2)

    def first(self, codes: Tensor) -> Tensor:
        """See `Decoder`."""
        return self.upc1(codes[..., None, None])

    def grow(self, features: Tensor) -> Tensor:
        """See `Decoder`."""
        return self.up(features)

    def levels(self) -> Sequence[Sequence[nn.Module]]:
        """See `Decoder`."""
        _, *levels, _ = self.children()
        every = []
        for level in levels:
            joined, *rest = level.children()
            assert isinstance(joined, VggLayer)
            every.append([*joined.main, *rest])
        return every
