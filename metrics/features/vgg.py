from pathlib import Path

from torch import Tensor, nn

from metrics.features.state_dict import unfilled
from metrics.features.torchvision_backbones import Backbone
from metrics.weights import locate


class Vgg19Features(nn.Module):
    """VGG-19 after relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, for perceptual losses. Meaningless until `read`.

    Weights are fixed, gradients reach the frames. What frames are scaled to is the loss's matter: pix2pixHD and vid2vid
    feed [-1, 1] without ImageNet's mean and deviation.

    Args:
        width: channels of the first layer; 64 in the published network.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = Backbone("vgg19", width)
        self.eval().requires_grad_(False)

    def read(self, path: Path) -> None:
        """Fills the network from torchvision's file, strictly."""
        self.backbone.read(path)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Float N 3 H W, at least 16x16 -> five tensors of 64 to 512 channels, each half as large as the one before."""
        return self.backbone(x)


def load() -> Vgg19Features:
    """The network with its published weights from this machine.

    Raises:
        MissingWeights: they are not on it.
        BenchError: the file does not hold what it should.
    """
    path = locate("vgg19")
    network = unfilled(Vgg19Features)
    assert isinstance(network, Vgg19Features)
    network.read(path)
    return network
