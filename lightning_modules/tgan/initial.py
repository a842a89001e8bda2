"""How TGAN's weights start: the paper and the official configs differ."""

import math
from typing import Literal

from torch import nn
from torch.nn.modules.conv import _ConvNd

Init = Literal["code", "paper", "uniform"]
BOUND = 0.01


def fan_in(layer: _ConvNd | nn.Linear) -> int:
    """As Chainer counts it: for a transposed convolution too the kernel's second axis, there the output channels."""
    return layer.weight[0].numel()


def init_normal(network: nn.Module, gain: float) -> None:
    """Kernels N(0, gain / fan in); biases 0. BatchNorm starts at 1 and 0 by itself."""
    for layer in network.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            nn.init.normal_(layer.weight, 0, math.sqrt(gain / fan_in(layer)))
            _no_bias(layer)


def init_uniform(network: nn.Module) -> None:
    """Kernels U(-0.01, 0.01); biases 0."""
    for layer in network.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            nn.init.uniform_(layer.weight, -BOUND, BOUND)
            _no_bias(layer)


def init_weights(image: nn.Module, others: list[nn.Module], init: Init) -> None:
    """Starts the image generator uniformly, and the others as `init` says.

    Args:
        image: G1, or the 3D model's generator.
        others: G0 and the critic.
        init: `code`, LeCun's normal, gain 1; `paper`, He's normal, gain 2; `uniform`, as G1.
    """
    init_uniform(image)
    for network in others:
        if init == "uniform":
            init_uniform(network)
        else:
            init_normal(network, {"code": 1.0, "paper": 2.0}[init])


def _no_bias(layer: nn.Module) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
