"""The convolutions and the blocks of which PG2's generators are made."""

import torch.nn.functional as F
from torch import Tensor, nn


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which with stride 2 on even sides pads more behind than before.

    A kernel of 3 has 0 pixels before and 1 behind, a kernel of 5 has 1 and 2: PyTorch's symmetric padding would shift
    the picture by a pixel and compute something else with the same weights.

    Args:
        below, above: channels.
        kernel: side, odd.
        stride: 1 or 2.
    """

    def __init__(self, below: int, above: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(below, above, kernel, stride, padding=0 if stride == 2 else kernel // 2)
        before, behind = (kernel - 2) // 2, (kernel - 1) // 2
        self.margins = (before, behind, before, behind) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """N C H W, for stride 2 with even sides -> N C' H/stride W/stride."""
        return super().forward(x if self.margins is None else F.pad(x, self.margins))


class Block(nn.Module):
    """Two 3 x 3 convolutions with ReLU; a residual one adds its input behind the second ReLU.

    Args:
        below, above: channels; equal where the block is residual.
        residual: whether the input is added.
    """

    def __init__(self, below: int, above: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.first, self.second = SameConv2d(below, above), SameConv2d(above, above)

    def forward(self, x: Tensor) -> Tensor:
        """N below H W -> N above H W."""
        y = F.relu(self.second(F.relu(self.first(x))))
        return y + x if self.residual else y


class Down(nn.Module):
    """A block of an encoder, and the convolution of stride 2 behind it.

    Args:
        below, above, residual: of the block.
        further: channels behind the convolution; None for no convolution, as in the last block.
    """

    def __init__(self, below: int, above: int, further: int | None, residual: bool) -> None:
        super().__init__()
        self.block = Block(below, above, residual)
        self.down = None if further is None else SameConv2d(above, further, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, which skips to the decoder, and what goes on down."""
        skip = self.block(x)
        return skip, skip if self.down is None else F.relu(self.down(skip))


class Up(nn.Module):
    """A block of a decoder; all but the last double the sides behind it.

    Args:
        below, above, residual: of the block.
        further: channels of the 1 x 1 convolution behind the doubling; None for none.
        last: leaves the sides as they are.
    """

    def __init__(self, below: int, above: int, further: int | None, residual: bool, last: bool) -> None:
        super().__init__()
        self.last = last
        self.block = Block(below, above, residual)
        self.narrow = None if further is None else SameConv2d(above, further, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """N below H W -> N above or further 2H 2W, or H W in the last block."""
        x = self.block(x)
        if not self.last:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return x if self.narrow is None else F.relu(self.narrow(x))


def init_xavier(network: nn.Module) -> None:
    """TF-slim's start of convolutions and linear layers: Xavier's uniform, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
