import numpy as np
import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from lightning_modules.pg2.discriminator import Discriminator
from lightning_modules.pg2.layers import Block, SameConv2d
from lightning_modules.pg2.module import PG2
from lightning_modules.pg2.networks import Coarse, Difference, Encoder, Generator, residual_blocks
from tests.helpers.built import model_args


def count(network: nn.Module | None) -> int:
    return 0 if network is None else sum(p.numel() for p in network.parameters())


def built(config: str, size: object) -> PG2:
    path, arguments = model_args(config)
    assert path.endswith(".PG2")
    with torch.device("meta"):
        return PG2(**{**arguments, "size": size})


def test_official_numbers_of_parameters() -> None:
    market, fashion = built("pg2", (128, 64)), built("pg2_deepfashion", 256)
    for model, coarse, difference, discriminator in (
        (market, 70_795_075, 6_058_883, 4_324_737),
        (fashion, 122_103_235, 12_696_067, 10_896_257),
    ):
        assert count(model.generator.coarse) == coarse
        assert count(model.generator.difference) == difference
        assert count(model.discriminator) == discriminator


def test_ablations() -> None:
    whole, alone = built("pg2", (128, 64)), built("pg2_g1", (128, 64))
    assert alone.generator.difference is alone.discriminator is None and alone.pose_mask
    plain, coordinates, encoder = (built(f"pg2_g1{name}_l1", (128, 64)) for name in ("", "_ce", "_hme"))
    assert not (plain.pose_mask or coordinates.pose_mask or encoder.pose_mask)
    assert count(plain.generator) == count(alone.generator) == count(whole.generator.coarse)
    # by hand: without the pose the stem reads 18 channels less; the code of the pose doubles what comes back from it
    back = 64 * 8 * 4 * 128
    base = count(plain.generator) - 18 * 9 * 128 + back
    assert count(coordinates.generator) == base + 54 * 64 + 64 + 64 * 64 + 64
    stem = (18 * 9 + 1) * 128
    of_picture = count(whole.generator.coarse.encoder) - (21 * 9 + 1) * 128
    assert count(encoder.generator) == base + of_picture + stem
    adversarial = built("pg2_g1_d", (128, 64))
    assert adversarial.generator.difference is None and adversarial.stage1_steps == 0
    pairs = built("pg2_pairs", (128, 64)).discriminator
    assert count(pairs) == count(whole.discriminator) + 3 * 25 * 64


@pytest.mark.parametrize(("kernel", "before"), [(3, 0), (5, 1)])
def test_padding_of_stride_2_lies_behind(kernel: int, before: int) -> None:
    """TensorFlow: out[i] = sum over k of w[k] x[2 i + k - before]."""
    conv = SameConv2d(1, 1, kernel, 2)
    x = torch.randn(1, 1, 6, 8)
    padded = np.pad(x[0, 0].numpy(), (before, kernel - 2 - before))
    w, bias = conv.weight[0, 0].detach().numpy(), float(conv.get_parameter("bias").detach())
    expected = [
        [(padded[2 * i : 2 * i + kernel, 2 * j : 2 * j + kernel] * w).sum() + bias for j in range(4)] for i in range(3)
    ]
    np.testing.assert_allclose(conv(x)[0, 0].detach(), expected, atol=1e-5)


def test_padding_of_stride_1_is_even() -> None:
    conv = SameConv2d(1, 1, 3)
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    conv.weight.data[0, 0, 0, 2] = 1  # takes the pixel above on the right
    x = torch.randn(1, 1, 4, 4)
    assert torch.equal(conv(x)[0, 0, 1:, :-1], x[0, 0, :-1, 1:])


def test_residual_blocks_add_behind_the_activation() -> None:
    block = Block(2, 2, residual=True)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(block(x), x)  # negative values too: nothing is cut off behind the sum
    plain = Block(2, 2, residual=False)
    plain.load_state_dict(block.state_dict())
    assert not plain(x).any()


def test_the_code_reads_places_before_channels() -> None:
    encoder = Encoder(3, 2, 4, 64, 8, 1)  # the smallest map: 8 channels of 8 x 1 places
    nn.init.zeros_(encoder.to_code.weight)
    nn.init.zeros_(encoder.to_code.bias)
    encoder.to_code.weight.data[0, 5 * 8 + 3] = 1  # row 5, channel 3
    code, skips = encoder(torch.randn(2, 3, 64, 8))
    assert [tuple(s.shape[1:]) for s in skips] == [(2, 64, 8), (4, 32, 4), (6, 16, 2), (8, 8, 1)]
    torch.testing.assert_close(code[:, 0], skips[-1][:, 3, 5, 0])


def test_the_code_s_map_is_written_places_before_channels() -> None:
    coarse = Coarse(64, 8, 2, 3)  # a map of 8 x 1 places and 2 channels
    nn.init.zeros_(coarse.from_code.weight)
    nn.init.zeros_(coarse.from_code.bias)
    coarse.from_code.bias.data[5 * 2 + 1] = 9  # row 5, channel 1
    seen: list[torch.Tensor] = []
    coarse.stages[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    coarse(torch.rand(1, 3, 64, 8), torch.rand(1, 18, 64, 8))
    assert seen[0][0, :2].nonzero().tolist() == [[1, 5, 0]]  # in front of the skip's channels


def test_start() -> None:
    generator = Generator(64, 64, 16, 8, "maps", full_skip=True)
    assert all(not p.any() for name, p in generator.named_parameters() if name.endswith("bias"))
    for name, receives, gives in (("coarse.stages.1.block.first", 9 * 96, 9 * 96), ("coarse.encoder.to_code", 4096, 8)):
        weight = generator.get_parameter(f"{name}.weight").detach()
        bound = (6 / (receives + gives)) ** 0.5  # Xavier's uniform
        assert 0.98 * bound < weight.abs().max() <= bound
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.03)


def test_without_a_difference_the_picture_is_the_coarse_one() -> None:
    generator = Generator(64, 32, 2, 3, "maps", full_skip=False)
    assert generator.difference is not None
    source, pose = torch.rand(2, 3, 64, 32), torch.rand(2, 18, 64, 32)
    coarse, fine = generator(source, pose, refine=True)
    assert not torch.allclose(coarse, fine, atol=1e-3)
    torch.testing.assert_close(fine - coarse, generator.difference(coarse, source))
    for parameter in generator.difference.out.parameters():
        nn.init.zeros_(parameter)
    coarse, fine = generator(source, pose, refine=True)
    assert torch.equal(coarse, fine)


@pytest.mark.parametrize("full", [False, True])
def test_which_map_skips_over_everything(full: bool) -> None:
    """The weights that read the largest map are there for DeepFashion alone."""
    last = Difference(4, 3, full).up[2]
    assert last.get_submodule("block.first").in_channels == (8 if full else 4)


def test_pictures_are_judged_together() -> None:
    discriminator = Discriminator(3, 4, (64, 32))
    one, two = torch.rand(2, 3, 64, 32), torch.rand(2, 3, 64, 32)
    apart, together = discriminator(one), discriminator(torch.cat([one, two]))[:2]
    assert apart.shape == (2,) and not torch.allclose(apart, together)
    assert not list(discriminator.buffers())
    conv = discriminator.get_parameter("convs.1.weight").detach()
    assert float(conv.std()) == pytest.approx(0.02, rel=0.05) and conv.abs().max() <= 0.02 * 3**0.5


@pytest.mark.parametrize("size", [(96, 64), (32, 32), (128, 24), (128, 0), (0, 64)])
def test_sizes_that_cannot_be_halved(size: tuple[int, int]) -> None:
    with pytest.raises(BenchError, match=f"model.init_args.size is {size[0]} x {size[1]}; .* power of 2 from 64"):
        PG2(size)


def test_blocks_follow_the_height() -> None:
    assert [residual_blocks(*size) for size in ((64, 8), (128, 64), (256, 256))] == [4, 5, 6]
