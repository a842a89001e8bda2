"""In which features generated and real pictures are compared."""

from typing import Literal

import torch
from torch import Tensor, nn

from metrics.features.vgg import Vgg19Features, load

Means = Literal["swapped", "imagenet"]
Units = Literal["levels", "deviations"]
# Of ImageNet in RGB, for values of 0..1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEVELS = 255 * sum(DEVIATION) / 3


class PictureFeatures(nn.Module):
    """VGG-19's first layers on pictures in [-1, 1]: `relu1_2` (block1_conv2) or `relu2_1` (block2_conv1).

    The weights are torchvision's, which take values in deviations from ImageNet's mean; the official code has Keras',
    which take levels of 0..255.

    Args:
        layer: which activations.
        means: `swapped`, those of red and blue exchanged as in the official code; `imagenet`, in their places.
        units: `levels` multiplies the features by an average deviation in levels, which gives them the size of Keras'
            and the official weights of the losses their meaning; `deviations` leaves them.
        network: VGG-19 with its weights; None takes the published ones.

    Raises:
        MissingWeights: they are not on this machine.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        layer: Literal["relu1_2", "relu2_1"],
        means: Means = "swapped",
        units: Units = "levels",
        network: Vgg19Features | None = None,
    ) -> None:
        super().__init__()
        layers = (network or load()).backbone.features
        self.layers = layers[: {"relu1_2": 4, "relu2_1": 7}[layer]]
        self.factor = LEVELS if units == "levels" else 1.0
        mean = MEAN[::-1] if means == "swapped" else MEAN
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """N 3 H W in [-1, 1] -> N 64 H W or N 128 H/2 W/2."""
        return self.layers(((x + 1) / 2 - self.mean) / self.deviation) * self.factor
