from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.state_dict import fill, read_torch, unfilled
from metrics.features.torchvision_backbones import Backbone, Name
from metrics.weights import locate

Net = Literal["alex", "vgg", "squeeze"]
BACKBONES: Mapping[Net, Name] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
CHANNELS: Mapping[Net, tuple[int, ...]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
# ImageNet's mean and standard deviation, for frames in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class _Head(nn.Module):
    """One weight a channel, under the published key `model.1.weight`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # 0 was dropout when the heads were trained
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """N C H W -> N 1 H W."""
        return self.model(x)


class LpipsNetwork(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018): weighted distance of two frames' deep features. Meaningless until `read`.

    In evaluation mode and without gradients to its weights; gradients reach the frames.

    Args:
        net: `alex`, by which results are reported; `vgg`, `squeeze`.
    """

    def __init__(self, net: Net = "alex") -> None:
        super().__init__()
        if net not in get_args(Net):
            raise BenchError(f"lpips: net must be one of {', '.join(get_args(Net))}, found {net!r}")
        self.net = net
        self.backbone = Backbone(BACKBONES[net])
        self.heads = nn.ModuleDict({f"lin{layer}": _Head(channels) for layer, channels in enumerate(CHANNELS[net])})
        self.eval().requires_grad_(False)

    def read(self, heads: Path, backbone: Path) -> None:
        """Fills the network from the published heads and torchvision's file, strictly."""
        fill(self.heads, read_torch(heads), heads, f"the LPIPS heads for {self.net}")
        self.backbone.read(backbone)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            a, b: float B 3 H W in [-1, 1].

        Returns:
            B, at least 0; 0 for equal frames.

        Raises:
            BenchError: other shapes or types, values outside [-1, 1], or frames too small for the backbone.
        """
        self._check(a, b)
        shift, scale = a.new_tensor(SHIFT).view(3, 1, 1), a.new_tensor(SCALE).view(3, 1, 1)
        both = (torch.cat([a, b]) - shift) / scale
        total = torch.zeros(len(a), dtype=both.dtype, device=both.device)
        for features, head in zip(self.backbone(both), self.heads.values(), strict=True):
            of_a, of_b = _unit(features).chunk(2)  # B C h w
            total = total + head((of_a - of_b).square()).mean(dim=(1, 2, 3))
        return total

    def _check(self, a: Tensor, b: Tensor) -> None:
        if a.shape != b.shape or a.ndim != 4 or a.shape[1] != 3 or not (a.is_floating_point() and a.dtype == b.dtype):
            raise BenchError(
                f"lpips takes two float B 3 H W of one shape, got {a.dtype} {tuple(a.shape)} and {b.dtype} "
                f"{tuple(b.shape)}"
            )
        for side in (a, b):
            # Not all(...) <= 1: NaN must fail. Only a wrong side is told from rounding, [0, 1] cannot be.
            if side.numel() and not float(side.detach().abs().amax()) <= 1.001:
                raise BenchError(f"lpips takes frames in [-1, 1], found up to {float(side.detach().abs().amax()):.4g}")


def load(name: Net = "alex") -> LpipsNetwork:
    """The network with its published weights from this machine.

    Raises:
        MissingWeights: heads or backbone are not on it.
        BenchError: there is no net of that name, or a file does not hold what it should.
    """
    if name not in get_args(Net):
        raise BenchError(f"lpips: net must be one of {', '.join(get_args(Net))}, found {name!r}")
    heads, backbone = locate(f"lpips_{name}"), locate(BACKBONES[name])
    network = unfilled(lambda: LpipsNetwork(name))
    assert isinstance(network, LpipsNetwork)
    network.read(heads, backbone)
    return network


def _unit(features: Tensor) -> Tensor:
    """Each position's channels to length 1; unlike a written-out root, the norm has a gradient at 0."""
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)
