from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.vgan.conditional import ConditionalVGAN
from lightning_modules.vgan.module import VGAN
from lightning_modules.vgan.networks import Discriminator, OneStreamGenerator, TwoStreamGenerator
from tests.helpers.built import model_args


def lively(network: nn.Module) -> nn.Module:
    """Weights that make pictures: those of a fresh network give grey, on which every loss is the same."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in network.parameters():
            if p.ndim > 1:
                p.normal_(0, 0.4)
    return network


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_official_number_of_parameters() -> None:
    with torch.device("meta"):
        model, conditional = VGAN(), ConditionalVGAN()
    g, c = model.generator, conditional.generator
    assert isinstance(g, TwoStreamGenerator)
    assert (count(g), count(g.static), count(g.video)) == (16_245_383, 3_577_667, 12_667_716)
    assert count(model.discriminator) == 11_057_858
    assert (count(c.enc), count(c.static), count(c.video)) == (11_021_696, 11_018_883, 46_175_876)
    assert (count(c), count(conditional.discriminator)) == (68_216_455, 44_135_810)


@pytest.mark.parametrize("name", ["vgan", "vgan_one_stream", "vgan_conditional"])
def test_paper_configs_are_full_width(name: str) -> None:
    path, arguments = model_args(name)
    cls: Any = ConditionalVGAN if path.endswith("ConditionalVGAN") else VGAN
    with torch.device("meta"):
        model = cls(**{**arguments, "frames": 32})
    assert count(model.discriminator) == (44_135_810 if cls is ConditionalVGAN else 11_057_858)
    assert isinstance(model.generator, OneStreamGenerator) == (name == "vgan_one_stream")


@pytest.mark.parametrize(("size", "frames"), [(64, 32), (64, 16), (32, 16), (32, 8), (16, 8)])
@pytest.mark.parametrize("streams", ["two", "one"])
def test_lengths_and_sizes(size: int, frames: int, streams: Any) -> None:
    model = VGAN(size=size, frames=frames, channels=1, ngf=1, ndf=1, dim_z=3, streams=streams)
    layers = model.generator(torch.randn(2, 3))
    assert layers.video.shape == (2, 1, frames, size, size)
    assert model.discriminator(layers.video).shape == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 24}, "makes 16 or 32 frames at size 64, found 24"),
        ({"size": 48}, "8, 16, 32, 64, ... pixels, found size 48"),
        ({"size": 4}, "found size 4"),
        ({"ngf": 0}, "at least 1, found 100, 0, 64"),
    ],
)
def test_what_the_architecture_cannot_make(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        VGAN(**arguments)


def test_start_of_the_official_code() -> None:
    torch.manual_seed(0)
    model = VGAN(size=32, frames=16, ngf=32, ndf=32)
    kernels = torch.cat([p.flatten() for n, p in model.named_parameters() if "conv" in n and n.endswith("weight")])
    scales = torch.cat([p.flatten() for n, p in model.named_parameters() if ".bn" in n and n.endswith("weight")])
    assert float(kernels.detach().std()) == pytest.approx(0.01, rel=0.01)
    assert abs(float(kernels.detach().mean())) < 1e-4
    assert float(scales.detach().mean()) == pytest.approx(1, abs=5e-3)
    assert float(scales.detach().std()) == pytest.approx(0.02, rel=0.15)
    assert all(not p.any() for n, p in model.named_parameters() if n.endswith("bias"))


def test_two_streams_are_foreground_over_background() -> None:
    torch.manual_seed(0)
    g = TwoStreamGenerator(3, [4, 2], bottom=2).eval()
    z = torch.randn(2, 3)
    with torch.no_grad():
        foreground, mask = g.video(z[..., None, None, None])
        layers = g(z)
    at = (1, 2, 5, 3, 4)
    frame = (at[0], at[1], at[3], at[4])
    m = mask[1, 0, 5, 3, 4]
    assert layers.background is not None
    expected = m * foreground[at] + (1 - m) * layers.background[frame]
    assert float(layers.video[at]) == pytest.approx(float(expected), abs=1e-6)


def test_losses_by_hand() -> None:
    """Cross entropies with class 0 real and 1 fake, not halved; a tenth of the mask's mean."""
    torch.manual_seed(0)
    model = VGAN(size=8, frames=4, ngf=2, ndf=2, dim_z=3).eval()
    lively(model)
    layers = model.generator(torch.randn(5, 3))
    real = torch.rand(5, 3, 4, 8, 8) * 2 - 1
    log = {k: model.discriminator(x).log_softmax(1) for k, x in (("real", real), ("fake", layers.video))}
    found = {**model.discriminator_losses(real, layers.video), **model.generator_losses(layers)}
    assert layers.mask is not None
    expected = {
        "discriminator_real": -log["real"][:, 0].mean(),
        "discriminator_fake": -log["fake"][:, 1].mean(),
        "generator": -log["fake"][:, 0].mean(),
        "mask": 0.1 * layers.mask.mean(),
    }
    assert found.keys() == expected.keys()
    values = sorted(float(value) for value in expected.values())
    assert min(b - a for a, b in pairwise(values)) > 1e-3  # so that one cannot stand for another
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)
    one = VGAN(size=8, frames=4, ngf=2, ndf=2, dim_z=3, streams="one")
    assert set(one.generator_losses(one.generator(torch.randn(5, 3)))) == {"generator"}


def test_conditional_losses_by_hand() -> None:
    """The fakes taken for real, and ten times the first frame's mean absolute difference; no penalty on the mask."""
    model = ConditionalVGAN(size=16, frames=8, ngf=2, ndf=2).eval()
    lively(model)
    first = torch.rand(3, 3, 16, 16) * 2 - 1
    layers = model.generator(first)
    found = model.generator_losses(layers, first)
    assert found.keys() == {"generator", "first_frame"}
    real = -model.discriminator(layers.video).log_softmax(1)[:, 0].mean()
    torch.testing.assert_close(found["generator"], real)
    apart = [10 * (layers.video[:, :, t] - first).abs().mean() for t in range(8)]
    torch.testing.assert_close(found["first_frame"], apart[0])
    assert min(abs(float(apart[0] - other)) for other in apart[1:]) > 1e-3


def test_conditional_clips_begin_with_their_context() -> None:
    torch.manual_seed(0)
    model = ConditionalVGAN(size=16, frames=8, ngf=2, ndf=2).eval()
    index = torch.arange(3)
    for given in (1, 3):
        context = torch.rand(3, 3, given, 16, 16) * 2 - 1
        clips = model.sample({"index": index, "context": context}, ClipNoise(0, index))
        assert clips.shape == (3, 3, 8, 16, 16)
        assert torch.equal(clips[:, :, :given], context)
        made = model.generator(context[:, :, -1]).video
        assert torch.equal(clips[:, :, given:], made[:, :, 1 : 9 - given])


def test_discriminator_sees_motion() -> None:
    torch.manual_seed(0)
    d = Discriminator(3, [2, 4]).eval()
    clips = torch.randn(1, 3, 8, 16, 16)
    assert not torch.allclose(d(clips), d(clips.flip(2)))
