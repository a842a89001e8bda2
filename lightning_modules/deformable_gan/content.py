"""The generator's loss beside the adversarial one: how the drawn picture is compared with the real one."""

from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.deformable_gan.features import Means, PictureFeatures, Units
from lightning_modules.deformable_gan.losses import nearest_neighbour

Content = Literal["l1", "perceptual", "nearest"]
WEIGHTS: dict[Content, float] = {"l1": 100.0, "perceptual": 0.5, "nearest": 0.01}  # of the released commands


class ContentLoss:
    """`l1`, the mean absolute difference of colours (Baseline, DSC); `perceptual`, that of VGG-19's relu2_1 (PercLoss);
    `nearest`, `losses.nearest_neighbour` of VGG-19's relu1_2 or of colours (Full).

    No part of a module's state: VGG-19 is fixed, and stays out of checkpoints.

    Args:
        kind: of the three.
        weight: multiplies it; None is the official one.
        features, area, reduction: of `nearest`.
        means, units: of VGG-19's input, see `features.PictureFeatures`.
    """

    def __init__(
        self,
        kind: Content,
        weight: float | None = None,
        features: Literal["vgg19", "rgb"] = "vgg19",
        area: int = 3,
        reduction: Literal["mean", "sum"] = "mean",
        means: Means = "swapped",
        units: Units = "levels",
    ) -> None:
        if area < 1 or area % 2 == 0:
            raise BenchError(f"model.init_args.nn_area must be odd and at least 1, found {area}")
        if kind == "perceptual" and features == "rgb":
            raise BenchError("model.init_args.content=perceptual compares features of VGG-19; of colours it is l1")
        self.kind, self.weight = kind, WEIGHTS[kind] if weight is None else weight
        self.area, self.reduction, self.means, self.units = area, reduction, means, units
        self.needs_vgg = kind == "perceptual" or (kind == "nearest" and features == "vgg19")
        self.network: PictureFeatures | None = None

    def read(self) -> None:
        """Takes VGG-19's weights from this machine, where they are needed. Raises `MissingWeights`."""
        if self.needs_vgg and self.network is None:
            self.network = PictureFeatures(
                "relu2_1" if self.kind == "perceptual" else "relu1_2", self.means, self.units
            )

    def __call__(self, drawn: Tensor, real: Tensor) -> Tensor:
        """The weighted loss of pictures N 3 H W in [-1, 1]; gradients reach `drawn`."""
        a, b = drawn.float(), real.float()
        if self.needs_vgg:
            assert self.network is not None, "read() comes before training"
            self.network.to(drawn.device)  # moves once
            with torch.no_grad():
                b = self.network(b)
            a = self.network(a)
        if self.kind == "nearest":
            return self.weight * nearest_neighbour(a, b, self.area, self.reduction)
        return self.weight * (a - b).abs().mean()
