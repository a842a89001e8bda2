"""Known answers of warping, blending and the foreground, and the official networks' sizes."""

import pytest
import torch
from torch import nn

from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.vid2vid.blocks import use_frame_statistics
from lightning_modules.vid2vid.networks import CompositeGenerator, CompositeLocalGenerator
from lightning_modules.vid2vid.warp import chain, confidence, warp

SIZES = [
    (lambda: CompositeGenerator(108, 3, 6, 128, 3, 9), 365_391_366),
    (lambda: CompositeGenerator(108, 3, 6, 128, 3, 9, use_fg_model=True), 411_335_241),
    (lambda: CompositeLocalGenerator(108, 3, 6, 64, 3, 3), 2_446_854),
    (lambda: CompositeGenerator(18, 3, 6, 64, 3, 9), 91_285_638),
    (lambda: CompositeGenerator(108, 3, 6, 128, 2, 9, use_fg_model=True), 137_792_649),
    (lambda: MultiscaleDiscriminator(39, 64, 3, 2, "batch", widest=64), 5_606_786),
    (lambda: MultiscaleDiscriminator(13, 64, 3, 2, "batch", widest=64), 5_553_538),
]


@pytest.mark.parametrize(("build", "count"), SIZES)
def test_official_parameter_counts(build: object, count: int) -> None:
    with torch.device("meta"):
        network: nn.Module = build()  # type: ignore[operator]
    assert sum(p.numel() for p in network.parameters()) == count


def test_flow_of_one_pixel_moves_by_one() -> None:
    picture = torch.rand(2, 3, 6, 9)
    flow = torch.zeros(2, 2, 6, 9)
    torch.testing.assert_close(warp(picture, flow), picture, atol=1e-6, rtol=0)
    flow[:, 0] = 1  # looked up one column further on: the picture moves to the left, the last column stays
    expected = torch.cat([picture[..., 1:], picture[..., -1:]], -1)
    torch.testing.assert_close(warp(picture, flow), expected, atol=1e-5, rtol=0)
    flow = torch.zeros(2, 2, 6, 9)
    flow[:, 1] = -2
    expected = torch.cat([picture[..., :1, :].expand(-1, -1, 2, -1), picture[..., :-2, :]], -2)
    torch.testing.assert_close(warp(picture, flow), expected, atol=1e-5, rtol=0)


def test_confidence_is_lost_where_pictures_differ() -> None:
    before = torch.zeros(1, 3, 4, 4)
    current = before.clone()
    current[0, 0, 1, 2] = 0.15  # squared 0.0225
    current[0, 0, 3, 3] = 0.14  # squared 0.0196
    trusted = confidence(current, before, torch.zeros(1, 2, 4, 4))
    assert trusted.sum() == 15 and trusted[0, 0, 1, 2] == 0


def test_chained_flow_equals_warping_frame_by_frame() -> None:
    x = torch.arange(12.0).expand(8, 12)
    first = torch.stack([0.1 * x, torch.zeros(8, 12)])  # frame 1 -> 0
    second = torch.stack([torch.ones(8, 12), torch.zeros(8, 12)])  # frame 2 -> 1
    whole = chain(torch.stack([first, second], 1)[None])[0, 0]
    # A pixel at x lies at x + 1 in frame 1, and from there 0.1 (x + 1) further in frame 0.
    torch.testing.assert_close(whole[:, :-1], (1 + 0.1 * (x + 1))[:, :-1])


def small(**more: object) -> CompositeGenerator:
    torch.manual_seed(0)
    return CompositeGenerator(6, 3, 6, 4, 1, 2, **more).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("bias", [-100.0, 100.0])
def test_weight_1_is_the_picture_and_0_the_frame_before(bias: float) -> None:
    network = small()
    nn.init.constant_(network.model_final_w[1].bias, bias)  # type: ignore[arg-type]
    nn.init.zeros_(network.model_final_flow[1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(network.model_final_flow[1].bias)  # type: ignore[arg-type]
    x, before = torch.randn(2, 6, 8, 8), torch.rand(2, 6, 8, 8)
    made = network(x, before)
    expected = made.raw if bias > 0 else before[:, 3:]
    torch.testing.assert_close(made.frame, expected, atol=1e-5, rtol=0)
    assert torch.equal(network(x, before, raw_only=True).frame, made.raw)


def test_foreground_alone_where_the_mask_is_1() -> None:
    network = small(use_fg_model=True)
    x, before = torch.randn(2, 6, 8, 8), torch.rand(2, 6, 8, 8)
    everywhere = network(x, before, torch.ones(2, 1, 8, 8))
    torch.testing.assert_close(everywhere.frame, network.foreground_final(everywhere.foreground_maps))
    assert torch.equal(everywhere.frame, everywhere.raw)
    nowhere = network(x, before, torch.zeros(2, 1, 8, 8))
    other = network(x, torch.rand(2, 6, 8, 8), torch.ones(2, 1, 8, 8))
    assert torch.equal(other.frame, everywhere.frame)  # the frame before plays no part
    assert not torch.allclose(nowhere.frame, everywhere.frame)


def test_without_flow_there_is_only_the_picture() -> None:
    network = small(no_flow=True)
    made = network(torch.randn(1, 6, 8, 8), torch.rand(1, 6, 8, 8))
    assert made.flow is None and made.weight is None and made.frame is made.raw
    assert not [name for name, _ in network.named_parameters() if "flow" in name or "final_w" in name]


def test_own_statistics_are_those_of_training_on_one_frame() -> None:
    network = small()
    own = small()
    use_frame_statistics(own)
    own.load_state_dict(network.state_dict())
    own.eval()
    x, before = torch.randn(3, 6, 8, 8), torch.rand(3, 6, 8, 8)
    alone = [network.train()(x[i : i + 1], before[i : i + 1]).frame for i in range(3)]
    torch.testing.assert_close(own(x, before).frame, torch.cat(alone), atol=1e-4, rtol=0)
