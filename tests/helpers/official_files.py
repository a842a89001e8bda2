"""Files as the official codes of MoCoGAN and VGAN write them, with the weights of our own networks."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.mocogan import networks as mocogan
from lightning_modules.vgan import networks as vgan
from tests.helpers.t7_files import Lua, write_t7


class VideoGenerator(mocogan.VideoGenerator):
    """Keeps its arguments under the official names, as the official class does."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.n_channels, self.video_length = arguments.get("channels", 3), 16
        self.dim_z_content, self.dim_z_category = self.dim_content, self.dim_category
        self.dim_z_motion = self.dim_motion


def drawn(network: Any) -> Any:
    """Weights and statistics well scaled, eval mode."""
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.3)
    return network.eval()


def mocogan_file(
    path: Path, patch: pytest.MonkeyPatch, legacy: bool = False, **arguments: Any
) -> mocogan.VideoGenerator:
    """A generator as a whole module of `models`, which is gone afterwards; returns the generator."""
    network = drawn(VideoGenerator(**{"dim_content": 5, "dim_category": 2, "dim_motion": 3, "ngf": 2, **arguments}))
    fake: Any = types.ModuleType("models")
    fake.VideoGenerator = VideoGenerator
    with patch.context() as inner:
        inner.setitem(sys.modules, "models", fake)
        inner.setattr(VideoGenerator, "__module__", "models")
        torch.save(network, path, _use_new_zipfile_serialization=not legacy)
    return network


def conv(kind: str, layer: Any, package: str = "cudnn") -> Lua:
    """A convolution of Torch7."""
    depth = {f"{key}T": value[0] for key, value in (("d", layer.stride), ("pad", layer.padding))}
    fields = dict(dW=layer.stride[-1], dH=layer.stride[-1], padW=layer.padding[-1], padH=layer.padding[-1])
    fields |= depth if kind.startswith("Volumetric") else {}
    fields |= {"adjW": 0, "adjH": 0} if "Full" in kind else {}
    return Lua(f"{package}.{kind}", weight=layer.weight.data, bias=layer.bias.data, gradBias=torch.ones(2), **fields)


def norm(kind: str, layer: Any) -> Lua:
    """A BatchNorm of Torch7."""
    return Lua(
        f"cudnn.{kind}",
        weight=layer.weight.data,
        bias=layer.bias.data,
        running_mean=layer.running_mean,
        running_var=layer.running_var,
        eps=layer.eps,
    )


def layers(name: str, *modules: Lua) -> Lua:
    """A container."""
    return Lua(f"nn.{name}", modules=list(modules))


def stream(network: Any, up: str, normalisation: str) -> list[Lua]:
    """The hidden levels of a generator's stream."""
    found = [Lua("nn.View", numElements=100)]
    for i in range(4):
        found += [conv(up, getattr(network, f"conv{i}")), norm(normalisation, getattr(network, f"bn{i}"))]
        found += [Lua("cudnn.ReLU", inplace=True)]
    return found


def select(index: int) -> Lua:
    """A choice of one of the streams."""
    return Lua("nn.SelectTable", index=index)


def vgan_tree(network: vgan.TwoStreamGenerator) -> Lua:
    """A generator as main.lua builds it."""
    video, still = network.video, network.static
    mask = conv("VolumetricFullConvolution", video.mask)
    heads = layers(
        "ConcatTable",
        layers("Sequential", conv("VolumetricFullConvolution", video.gen), Lua("cudnn.Tanh")),
        layers("Sequential", mask, Lua("cudnn.Sigmoid"), Lua("nn.L1Penalty", l1weight=0.25)),
    )
    moving = [*stream(video, "VolumetricFullConvolution", "VolumetricBatchNormalization"), heads]
    last = conv("SpatialFullConvolution", still.get_submodule("conv4"))
    static = [*stream(still, "SpatialFullConvolution", "SpatialBatchNormalization"), last, Lua("cudnn.Tanh")]
    colours, frames = (Lua("nn.Replicate", nfeatures=n, dim=d) for n, d in ((3, 2), (32, 3)))
    front = layers("ConcatTable", select(1), layers("Sequential", select(2), Lua("nn.Squeeze"), colours))
    inverse = [Lua("nn.MulConstant", constant_scalar=-1), Lua("nn.AddConstant", constant_scalar=1)]
    again = Lua("nn.Replicate", nfeatures=3, dim=2)
    back = layers(
        "ConcatTable",
        layers("Sequential", select(3), frames),
        layers("Sequential", select(2), Lua("nn.Squeeze"), *inverse, again),
    )
    both = (layers("Sequential", part, Lua("nn.CMulTable")) for part in (front, back))
    streams = layers("ConcatTable", layers("Sequential", *moving), layers("Sequential", *static))
    return layers("Sequential", streams, Lua("nn.FlattenTable"), layers("ConcatTable", *both), Lua("nn.CAddTable"))


def vgan_discriminator_tree(network: vgan.Discriminator) -> Lua:
    """A discriminator as main.lua builds it."""
    found = []
    for i in range(4):
        found += [conv("VolumetricConvolution", network.get_submodule(f"conv{i}"))]
        found += [norm("VolumetricBatchNormalization", network.get_submodule(f"bn{i}"))] if i else []
        found += [Lua("nn.LeakyReLU", negval=0.2)]
    return layers("Sequential", *found, conv("VolumetricConvolution", network.get_submodule("conv4")), Lua("nn.View"))


def vgan_files(folder: Path) -> tuple[vgan.TwoStreamGenerator, vgan.Discriminator]:
    """iter20_net.t7 and iter20_netD.t7; returns the networks in them."""
    generator = drawn(vgan.TwoStreamGenerator(7, [16, 8, 4, 2]))
    discriminator = drawn(vgan.Discriminator(3, [3, 6, 12, 24]))
    write_t7(folder / "iter20_net.t7", vgan_tree(generator), cuda=True)
    write_t7(folder / "iter20_netD.t7", vgan_discriminator_tree(discriminator), cuda=True)
    return generator, discriminator
