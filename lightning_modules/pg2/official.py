"""Names and layouts of the official TensorFlow variables, and ours.

TF-slim numbers convolutions and linear layers in the order of their creation, which is that of our modules:
`Pose_AE/G/Conv`, `Pose_AE/G/Conv_1` and so on, `UAEnoFC/G/...` for G2. The discriminator's layers are numbered from 1.
Kernels are (height, width, in, out) there, linear layers (in, out).
"""

import re
from collections.abc import Iterator

from torch import Tensor, nn

from lightning_modules.pg2.discriminator import Discriminator
from lightning_modules.pg2.networks import Generator

COARSE, DIFFERENCE = "Pose_AE/G", "UAEnoFC/G"
# The discriminator's own averages, which the official code creates and never updates or reads.
UNUSED = re.compile(r"Discriminator\.BN\d+\.moving_(mean|variance)")


def generator_names(generator: Generator) -> dict[str, str]:
    """Our parameter -> the official variable, of G1 and, where it is there, G2."""
    names = dict(_slim(generator.coarse, "coarse", COARSE))
    if generator.difference is not None:
        names |= dict(_slim(generator.difference, "difference", DIFFERENCE))
    return names


def _slim(network: nn.Module, ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    counts = {"Conv": 0, "fully_connected": 0}
    for name, layer in network.named_modules():
        kind = "Conv" if isinstance(layer, nn.Conv2d) else "fully_connected" if isinstance(layer, nn.Linear) else None
        if kind is None:
            continue
        numbered = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        for parameter, variable in (("weight", "weights"), ("bias", "biases")):
            yield f"{ours}.{name}.{parameter}", f"{theirs}/{numbered}/{variable}"


def discriminator_names(discriminator: Discriminator) -> dict[str, str]:
    """Our parameter -> the official variable."""
    names = {}
    for i in range(len(discriminator.convs)):
        scope = f"Discriminator.{i + 1}"
        names[f"convs.{i}.weight"] = f"{scope}/{scope}.Filters"
        names[f"convs.{i}.bias"] = f"{scope}/{scope}.Biases"
    for i in range(len(discriminator.norms)):
        names[f"norms.{i}.weight"] = f"Discriminator.BN{i + 2}.scale"
        names[f"norms.{i}.bias"] = f"Discriminator.BN{i + 2}.offset"
    names["out.weight"] = "Discriminator.Output/Discriminator.Output.W"
    names["out.bias"] = "Discriminator.Output/Discriminator.Output.b"
    return names


def our_layout(variable: Tensor) -> Tensor:
    """A kernel H W in out -> out in H W, a linear layer's (in, out) -> (out, in); vectors as they are."""
    if variable.ndim == 4:
        return variable.permute(3, 2, 0, 1).contiguous()
    return variable.T.contiguous() if variable.ndim == 2 else variable
