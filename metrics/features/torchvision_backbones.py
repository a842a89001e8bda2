"""The convolutions of torchvision's AlexNet, VGG-16, VGG-19 and SqueezeNet 1.1, by whose features LPIPS and perceptual
losses are defined. torchvision itself is not needed: only its files, whose keys these are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.state_dict import fill, read_torch

Name = Literal["alexnet", "vgg16", "vgg19", "squeezenet1_1"]


class Plan(NamedTuple):
    """What is taken from a network.

    Attributes:
        taps: indices in `features` after which an output is taken; what lies behind the last is not built.
        unused: the published file's other layers, by the shape of their weight.
        smallest: height and width below which a tap has no output.
    """

    taps: tuple[int, ...]
    unused: Mapping[str, tuple[int, ...]]
    smallest: int


_VGG_HEAD: dict[str, tuple[int, ...]] = {
    "classifier.0": (4096, 25088),
    "classifier.3": (4096, 4096),
    "classifier.6": (1000, 4096),
}
PLANS: Mapping[str, Plan] = {
    "alexnet": Plan(
        (1, 4, 7, 9, 11),
        {"classifier.1": (4096, 9216), "classifier.4": (4096, 4096), "classifier.6": (1000, 4096)},
        31,
    ),
    "vgg16": Plan((3, 8, 15, 22, 29), _VGG_HEAD, 16),  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
    "vgg19": Plan(  # relu1_1 to relu5_1
        (1, 6, 11, 20, 29), {**{f"features.{at}": (512, 512, 3, 3) for at in (30, 32, 34)}, **_VGG_HEAD}, 16
    ),
    "squeezenet1_1": Plan((1, 4, 7, 9, 10, 11, 12), {"classifier.1": (1000, 512, 1, 1)}, 17),
}


class Fire(nn.Module):
    """SqueezeNet's block: 1x1 to few channels, then 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, narrow, 1)
        self.expand1x1, self.expand3x3 = nn.Conv2d(narrow, wide, 1), nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


class Backbone(nn.Module):
    """Convolutions under torchvision's keys (`features.0.weight`), giving the outputs at `PLANS[name].taps`.

    Args:
        name: of the network.
        width: channels of a VGG's first layer; 64 in the published networks.
    """

    def __init__(self, name: Name, width: int = 64) -> None:
        super().__init__()
        if name not in PLANS:
            raise BenchError(f"there is no backbone {name!r}; there are {', '.join(PLANS)}")
        self.name, self.plan = name, PLANS[name]
        layers = {"alexnet": _alexnet, "squeezenet1_1": _squeezenet}[name]() if "vgg" not in name else _vgg(name, width)
        self.features = nn.Sequential(*layers[: self.plan.taps[-1] + 1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """N 3 H W -> one N C h w a tap.

        Raises:
            BenchError: frames smaller than the network's poolings allow.
        """
        if min(x.shape[2:]) < self.plan.smallest:
            raise BenchError(
                f"{self.name} needs frames of at least {self.plan.smallest}x{self.plan.smallest}, "
                f"found {x.shape[2]}x{x.shape[3]}"
            )
        outputs = []
        for at, layer in enumerate(self.features):
            x = layer(x)
            if at in self.plan.taps:
                outputs.append(x)
        return outputs

    def read(self, path: Path) -> None:
        """Fills the convolutions from torchvision's file, which must be whole: classifier and later layers too.

        Raises:
            BenchError: an entry is missing, odd or of another shape.
        """
        weights = {f"{layer}.weight": shape for layer, shape in self.plan.unused.items()}
        biases = {f"{layer}.bias": shape[:1] for layer, shape in self.plan.unused.items()}
        fill(self, read_torch(path), path, self.name, unused=weights | biases)


def _alexnet() -> list[nn.Module]:
    return [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]


def _vgg(name: Name, width: int) -> list[nn.Module]:
    deep = 4 if name == "vgg19" else 3
    layers: list[nn.Module] = []
    inputs = 3
    for stage, convolutions in enumerate((2, 2, deep, deep, deep)):
        channels = width * min(2**stage, 8)
        for _ in range(convolutions):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    return layers


def _squeezenet() -> list[nn.Module]:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)

    return [
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]
