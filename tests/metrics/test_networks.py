"""What the networks compute, against formulas written otherwise and facts about the published graphs."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.c3d import C3D, C3DNetwork
from metrics.features.efficientnet_lite0 import SameConv
from metrics.features.inception import Inception
from metrics.features.inception_network import InceptionNetwork, MixedE, average
from metrics.features.lpips import LpipsNetwork
from metrics.features.torchvision_backbones import Backbone
from metrics.features.vgg import Vgg19Features
from metrics.frechet import FrechetDistance
from tests.metrics.array_data import noise_clips
from tests.metrics.network_files import values_for

# Inception of 2015


@pytest.fixture(scope="module")
def inception() -> Inception:
    extractor = Inception(output="probabilities")
    values = values_for(extractor.network)
    values["fc.bias"][7] = 1e4  # would decide every probability if it were added
    extractor.network.load_state_dict(values)
    extractor._loaded = True
    return extractor


def test_average_pooling_leaves_the_border_out() -> None:
    assert torch.equal(average(torch.ones(1, 1, 4, 5)), torch.ones(1, 1, 4, 5))
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert float(average(x)[0, 0, 0, 0]) == (0 + 1 + 3 + 4) / 4


def test_the_last_block_pools_by_the_maximum() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 1280, 8, 8)
    for maximum, pool in ((True, F.max_pool2d(x, 3, 1, 1)), (False, average(x))):
        block = MixedE(1280, maximum).eval()
        assert torch.equal(block(x)[:, -192:], block.branch_pool(pool))
    network = InceptionNetwork()
    assert (network.Mixed_7b.maximum, network.Mixed_7c.maximum) == (False, True)


def test_maps_are_those_of_the_graph(inception: Inception) -> None:
    """147, 73, 71, 35, 17 and 8 pixels: the first layers have no border."""
    sides: dict[str, int] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: sides.update({name: out.shape[-1]}))
        for name, module in inception.network.named_children()
        if name != "fc"
    ]
    inception(noise_clips(0, 1, 3, 1, 32, 32))
    for hook in hooks:
        hook.remove()
    assert [sides[k] for k in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")] == [
        149,
        147,
        73,
        71,
    ]
    assert {side for name, side in sides.items() if name.startswith("Mixed_5")} == {35}
    assert {side for name, side in sides.items() if name.startswith("Mixed_6")} == {17}
    assert {side for name, side in sides.items() if name.startswith("Mixed_7")} == {8}


def test_probabilities_are_without_bias_and_of_every_frame(inception: Inception) -> None:
    clips = noise_clips(0, 2, 3, 3, 24, 32)
    found = inception(clips)
    assert found.shape == (2, 3, 1008) and torch.allclose(found.sum(2), torch.ones(2, 3))
    frame = inception.preprocess(clips[1, :, 2][None].float())
    by_hand = (inception.network(frame) @ inception.network.fc.weight.T).softmax(1)  # type: ignore[union-attr]
    torch.testing.assert_close(found[1, 2], by_hand[0], rtol=1e-4, atol=1e-7)
    assert float(found[..., 7].max()) < 0.9


def test_what_the_network_sees(inception: Inception) -> None:
    grey = torch.full((1, 3, 10, 20), 128.0)
    assert torch.equal(inception.preprocess(grey), torch.zeros(1, 3, 299, 299))
    symmetric = Inception(scaling="symmetric", resize="half_pixel")
    assert torch.allclose(symmetric.preprocess(grey * 255 / 128), torch.ones(1, 3, 299, 299))
    ramp = torch.arange(20.0).expand(1, 3, 10, 20)
    # Rule tf1: output i looks at input i * 20 / 299.
    expected = (np.minimum(np.arange(299) * 20 / 299, 19) - 128) / 128
    np.testing.assert_allclose(inception.preprocess(ramp)[0, 0, 0].numpy(), expected, atol=1e-5)
    for options in ({"output": "logits"}, {"resize": "cubic"}, {"scaling": "tanh"}):
        with pytest.raises(BenchError, match="inception: "):
            Inception(**options)  # type: ignore[arg-type]


def test_only_the_published_network_gives_an_fid(tmp_path: Path) -> None:
    assert FrechetDistance(Inception()).name == "fid"
    assert FrechetDistance(Inception(resize="antialias")).name == "frechet_frame[inception]"


# C3D


@pytest.fixture
def c3d() -> C3D:
    torch.manual_seed(0)
    extractor = C3D()
    extractor.network = C3DNetwork(width=2, hidden=8).eval().requires_grad_(False)
    extractor.get_buffer("mean").copy_(torch.randint(90, 130, (3, 16, 112, 112)))
    extractor._loaded = True
    return extractor


def test_c3d_sees_blue_first_less_the_mean(c3d: C3D) -> None:
    clips = torch.zeros(1, 3, 16, 20, 30, dtype=torch.uint8)
    clips[:, 0], clips[:, 2] = 255, 10
    seen = c3d.preprocess(clips) + c3d.get_buffer("mean")
    torch.testing.assert_close(seen[:, 2], torch.full_like(seen[:, 2], 256), rtol=0, atol=1e-3)
    torch.testing.assert_close(seen[:, 0], torch.full_like(seen[:, 0], 10 * 128 / 127.5), rtol=0, atol=1e-3)
    assert float(seen[:, 1].abs().max()) < 1e-3
    ramp = torch.arange(30, dtype=torch.uint8).expand(1, 3, 16, 20, 30)
    # Align-corners: first and last columns meet.
    row = (c3d.preprocess(ramp) + c3d.get_buffer("mean"))[0, 0, 0, 5]
    np.testing.assert_allclose(row.numpy(), np.linspace(0, 29, 112) * 128 / 127.5, atol=1e-3)


def test_c3d_prepares_as_tgan(tmp_path: Path) -> None:
    """OpenCV's bicubic to 128, the middle 112; the mean's columns 29 to 141, rows 8 to 120."""
    import cv2

    from metrics.features.c3d import read_mean

    mean = np.random.default_rng(0).uniform(90, 120, (3, 16, 128, 171)).astype(np.float32)
    np.savez(tmp_path / "mean.npz", mean)
    assert np.array_equal(read_mean(tmp_path / "mean.npz", "tgan").numpy(), mean[..., 21:149][..., 8:120, 8:120])
    clips = noise_clips(0, 1, 3, 16, 64, 64)
    seen = C3D(preparation="tgan").preprocess(clips)
    frame = clips[0, :, 5].permute(1, 2, 0).numpy().astype(np.float32) * np.float32(128 / 127.5)
    expected = cv2.resize(frame, (128, 128), interpolation=cv2.INTER_CUBIC)[8:120, 8:120, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(seen[0, :, 5].numpy(), expected, atol=0.02)
    assert C3D(preparation="tgan").fingerprint != C3D().fingerprint
    with pytest.raises(BenchError, match="preparation must be tgan2 or tgan, found 'x'"):
        C3D(preparation="x")  # type: ignore[arg-type]


def test_c3d_written_out(c3d: C3D) -> None:
    """Layer after layer by functions; the last pooling keeps the seventh row as a window of its own."""
    net = dict(c3d.network.named_parameters())
    x = c3d.preprocess(noise_clips(0, 2, 3, 16, 24, 24))
    for name, pool in (("1a", 1), ("2a", 2), ("3a", 0), ("3b", 2), ("4a", 0), ("4b", 2), ("5a", 0), ("5b", 2)):
        x = F.conv3d(x, net[f"conv{name}.weight"], net[f"conv{name}.bias"], padding=1).relu()
        if pool:
            odd = [side % 2 for side in x.shape[3:]]
            x = F.pad(x, (0, odd[1], 0, odd[0]))  # after ReLU a zero is no more than any maximum
            x = F.max_pool3d(x, (pool, 2, 2))
    assert x.shape[2:] == (1, 4, 4)
    x = x.flatten(1)
    for name in ("fc6", "fc7", "fc8"):
        x = x @ net[f"{name}.weight"].T + net[f"{name}.bias"]
        x = x.relu() if name != "fc8" else x
    found = c3d(noise_clips(0, 2, 3, 16, 24, 24))
    torch.testing.assert_close(found, x.softmax(1), rtol=1e-4, atol=1e-6)


def test_c3d_takes_sixteen_frames(c3d: C3D) -> None:
    with pytest.raises(BenchError, match="c3d features need at least 16 frames, found 15"):
        c3d(noise_clips(0, 1, 3, 15, 24, 24))
    with pytest.raises(BenchError, match="c3d takes clips of exactly 16 frames, found 17"):
        c3d(noise_clips(0, 1, 3, 17, 24, 24))
    with pytest.raises(BenchError, match="path and mean go together"):
        C3D(Path("w.npz"))


# EfficientNet's padding


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 2), (8, 5, 1)])
def test_same_padding_is_tensorflow_s(side: int, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer, x = SameConv(2, 3, kernel, stride), torch.randn(1, 2, side, side)
    out = -(-side // stride)
    total = max(0, (out - 1) * stride + kernel - side)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), *[(total // 2, total - total // 2)] * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]
    expected = np.einsum("nchwij,ocij->nohw", windows, layer.weight.detach().numpy())
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-5)


# LPIPS and its backbones


@pytest.mark.parametrize(("net", "side"), [("alex", 40), ("vgg", 32), ("squeeze", 35)])
def test_lpips_written_out(net: str, side: int) -> None:
    torch.manual_seed(0)
    network = LpipsNetwork(net)  # type: ignore[arg-type]
    for p in network.heads.parameters():
        p.uniform_(0, 1)
    a, b = torch.rand(2, 3, 3, side, side) * 2 - 1
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    total = np.zeros(3)
    taps = []
    for frames in (a, b):
        # [-1, 1] by LPIPS' own constants is [0, 1] by ImageNet's.
        prepared = ((frames.numpy().transpose(0, 2, 3, 1) + 1) / 2 - mean) / std
        taps.append(network.backbone(torch.from_numpy(prepared.transpose(0, 3, 1, 2)).float()))
    for x, y, head in zip(*taps, network.heads.values(), strict=True):
        weight = head.model[1].weight.numpy().ravel()
        unit = [f.numpy() / np.sqrt((f.numpy() ** 2).sum(1, keepdims=True) + 1e-20) for f in (x, y)]
        total += np.einsum("nchw,c->nhw", (unit[0] - unit[1]) ** 2, weight).mean((1, 2))
    np.testing.assert_allclose(network(a, b).numpy(), total, rtol=2e-3)
    assert torch.equal(network(a, a), torch.zeros(3))


def test_lpips_has_gradients_to_the_frames_alone() -> None:
    torch.manual_seed(0)
    network = LpipsNetwork("squeeze")
    a = (torch.rand(1, 3, 32, 32) * 2 - 1).requires_grad_()
    network(a, a.detach()).sum().backward()
    assert a.grad is not None and a.grad.isfinite().all()  # the root at 0 has no slope of infinity
    network(a, torch.zeros(1, 3, 32, 32)).sum().backward()
    assert float(a.grad.abs().sum()) > 0 and all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "two float B 3 H W"),
        (torch.zeros(1, 1, 32, 32), "two float B 3 H W"),
        (torch.full((1, 3, 32, 32), 2.0), r"frames in \[-1, 1\], found up to 2"),
        (torch.full((1, 3, 32, 32), float("nan")), r"frames in \[-1, 1\], found up to nan"),
        (torch.zeros(1, 3, 8, 32), "needs frames of at least 31x31, found 8x32"),
    ],
)
def test_lpips_refuses(a: Tensor, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        LpipsNetwork("alex")(a, a.clone())


def test_alexnet_written_out() -> None:
    torch.manual_seed(0)
    backbone = Backbone("alexnet")
    w = dict(backbone.named_parameters())
    x = torch.randn(1, 3, 64, 64)
    found = backbone(x)
    for place, (at, stride, padding, pool) in enumerate(
        [(0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False)]
    ):
        x = F.max_pool2d(x, 3, 2) if pool else x
        x = F.conv2d(x, w[f"features.{at}.weight"], w[f"features.{at}.bias"], stride, padding).relu()
        assert torch.equal(found[place], x)


def test_parity_p2phd_vgg_loss() -> None:
    """Official slices end at relu1_1 to relu5_1; weights 1/32 to 1, L1, frames in [-1, 1] as they are."""
    folder = os.environ.get("REELBENCH_PARITY")
    if not folder:
        pytest.skip("REELBENCH_PARITY is not set: the official VGG features are not compared")
    about = json.loads((Path(folder) / "p2phd_vgg_loss.json").read_text())
    arrays = load_file(Path(folder) / "p2phd_vgg_loss.safetensors")
    network = Vgg19Features(width=64 // about["constructor"]["div"])
    weights = {
        "backbone.features." + key.split(".", 1)[1]: value
        for key, value in arrays.items()
        if key.startswith("weights/")
    }
    network.load_state_dict(weights, strict=True)
    x, y = network(arrays["input/x"]), network(arrays["input/y"])
    loss = sum(k * (a - b).abs().mean() for k, a, b in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), x, y, strict=True))
    found = {"loss": loss, "relu1_1_mean": x[0].mean((2, 3)), "relu5_1": x[4]}
    assert {f"output/{name}" for name in found} == {key for key in arrays if key.startswith("output/")}
    for name, value in found.items():
        torch.testing.assert_close(
            value, arrays[f"output/{name}"], rtol=0, atol=about["suggested_atol"][name], msg=name
        )
