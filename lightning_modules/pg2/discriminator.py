"""PG2's discriminator, which is DCGAN's with a kernel of 5."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.pg2.layers import SameConv2d
from lightning_modules.pg2.networks import BOTTOM

LARGEST = 8  # times the first layer's channels
DEVIATION = 0.02


class Discriminator(nn.Module):
    """Convolutions of stride 2 down to 8 pixels in height, then one linear layer.

    BatchNorm takes the batch's statistics always, over all pictures of a call: what is judged together matters. It
    keeps no running ones, which the official code has and never uses.

    Args:
        channels: 3 for single pictures, 6 for pairs.
        width: channels of the first layer, officially 64; each further layer has twice as many, up to 8 times.
        size: height and width of the pictures.
    """

    def __init__(self, channels: int, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        layers = int(math.log2(size[0] // BOTTOM))
        widths = [channels, *(width * min(2**i, LARGEST) for i in range(layers))]
        self.convs = nn.ModuleList(SameConv2d(widths[i], widths[i + 1], 5, 2) for i in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm2d(w, eps=1e-5, track_running_stats=False) for w in widths[2:])
        self.out = nn.Linear(widths[-1] * (size[0] >> layers) * (size[1] >> layers), 1)
        bound = DEVIATION * math.sqrt(3)
        for layer in [*self.convs, self.out]:
            nn.init.uniform_(layer.get_parameter("weight"), -bound, bound)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """N channels H W in [-1, 1] -> N logits."""
        x = F.leaky_relu(self.convs[0](x), 0.2)
        for conv, norm in zip(list(self.convs)[1:], self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return self.out(x.flatten(1)).squeeze(1)  # reads C H W
