import pytest
import torch
from torch import nn

from lightning_modules.deformable_gan.networks import Discriminator, Generator, SampleNorm, channels
from lightning_modules.deformable_gan.regions import regions
from lightning_modules.deformable_gan.transformer import SpatialTransformer, places
from tests.lightning_modules.deformable_gan.people import person

MARKET, FASHION = (128, 64), (256, 256)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("warp_skip", "size", "expected"),
    [
        ("mask", MARKET, 61_109_085),
        ("mask", FASHION, 82_080_611),
        ("full", MARKET, 61_109_085),
        ("none", MARKET, 36_072_533),
        ("none", FASHION, 48_655_449),
        ("stn", MARKET, 61_109_085 + 72 * 64 + 64 + 64 * 32 + 32 + 32 * 6 + 6),
    ],
)
def test_official_number_of_parameters(warp_skip: str, size: tuple[int, int], expected: int) -> None:
    with torch.device("meta"):
        assert count(Generator(warp_skip, *channels(size, 64))) == expected  # type: ignore[arg-type]
        assert count(Discriminator()) == 2_803_782


@pytest.mark.parametrize(("size", "map_"), [(MARKET, (3, 1)), (FASHION, (7, 7))])
def test_the_discriminator_gives_a_map(size: tuple[int, int], map_: tuple[int, int]) -> None:
    with torch.device("meta"):
        image, pose = torch.empty(2, 3, *size), torch.empty(2, 18, *size)
        assert Discriminator()(image, pose, image, pose).shape == (2, 1, *map_)


def test_norm_takes_all_axes_and_one_factor() -> None:
    norm, x = SampleNorm(), torch.randn(3, 4, 5, 6) * 2 + 7
    with torch.no_grad():
        norm.weight.fill_(3.0), norm.bias.fill_(-1.0)
    y = norm(x)
    for one, given in zip(y, x, strict=True):
        expected = (given - given.mean()) / (given.std(correction=0) + 1e-3) * 3 - 1
        torch.testing.assert_close(one, expected)
    assert count(norm) == 2


def small(warp_skip: str = "mask") -> Generator:
    torch.manual_seed(0)
    return Generator(warp_skip, [2, 3, 4, 4, 4, 4], [4, 4, 4, 3, 3]).eval()  # type: ignore[arg-type]


def inputs() -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, *MARKET, generator=draw) * 2 - 1
    return image, torch.rand(2, 18, *MARKET, generator=draw), torch.rand(2, 18, *MARKET, generator=draw)


def test_four_levels_are_deformed_and_no_more() -> None:
    network = small()
    moved = person()
    moved[:, 0] += 6
    found = regions(person()[None].expand(2, -1, -1), moved[None].expand(2, -1, -1), *MARKET)
    image, own, wanted = inputs()
    skips = network.skips(image, own, wanted, found)
    seen = network.appearance.levels(torch.cat([image, own], 1))
    assert network.pose is not None
    asked = network.pose.levels(wanted)
    for level, (skip, a, b) in enumerate(zip(skips, seen, asked, strict=True)):
        assert skip.shape[1] == 2 * a.shape[1] and torch.equal(skip[:, a.shape[1] :], b)
        assert torch.equal(skip[:, : a.shape[1]], a) == (level >= 4)


def test_dropout_comes_from_outside_or_from_training() -> None:
    network, (image, own, wanted) = small("none"), inputs()
    shapes = network.dropped(*MARKET)
    assert shapes == [(4, 8, 4), (4, 16, 8), (4, 32, 16)]
    plain = network(image, own, wanted)
    assert torch.equal(plain, network(image, own, wanted))
    ones = [torch.ones(2, *shape) for shape in shapes]
    torch.testing.assert_close(network(image, own, wanted, kept=ones), plain)
    for i in range(3):
        thinned = [torch.zeros_like(k) if j == i else k for j, k in enumerate(ones)]
        assert not torch.allclose(network(image, own, wanted, kept=thinned), plain)
    network.train()
    assert not torch.equal(network(image, own, wanted), network(image, own, wanted))


def test_transformer_starts_as_the_identity_and_learns() -> None:
    layer, x = SpatialTransformer(), torch.randn(2, 3, 8, 6)
    given = person(left_wrist=None)[None].expand(2, -1, -1)
    where = places(given, given)
    torch.testing.assert_close(layer(x, where), x, rtol=0, atol=1e-5)
    assert where.shape == (2, 72) and where[0, :2].tolist() == [14, 32] and where[0, 14:16].tolist() == [-1, -1]
    layer(x, where).square().sum().backward()
    last = layer.maps[-1]
    assert isinstance(last, nn.Linear) and last.weight.grad is not None and last.weight.grad.abs().max() > 0


def test_start_is_glorots() -> None:
    network = Generator("none", [32, 32, 32, 32, 32], [32, 32, 32, 32])
    up = network.decoder[1].conv
    assert isinstance(up, nn.ConvTranspose2d)
    bound = (6 / (16 * (64 + 32))) ** 0.5
    assert 0.95 * bound < up.weight.abs().max() <= bound
    first = network.appearance[0]
    assert isinstance(first, nn.Conv2d) and first.bias is not None and (first.bias == 0).all()
