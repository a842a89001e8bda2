from typing import Literal

from torch import nn

Init = Literal["he", "small"]


def init_weights(network: nn.Module, init: Init) -> None:
    """Draws the weights of a fresh network.

    Args:
        network: whose linear layers are called `hidden` where a ReLU follows, and `logvar` in front of a variance.
        init: `he` keeps the size of what passes through the ten linear layers between picture and picture: He's normal,
            with half of the variance where no ReLU follows, biases 0. Variances, convolutions and the LSTM start as the
            framework has it. `small` is a re-implementation's: He's normal for convolutions, N(0, 0.001) for linear
            layers; its biases are not told, and 0 here.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            if init == "small":
                nn.init.normal_(layer.weight, 0, 0.001)
            elif name.endswith("logvar"):
                continue
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if name.endswith("hidden") else "linear")
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and init == "small":
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
