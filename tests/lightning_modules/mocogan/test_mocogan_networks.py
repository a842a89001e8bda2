import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from lightning_modules.mocogan.networks import (
    CategoricalVideoDiscriminator,
    Discriminator,
    ImageDiscriminator,
    Noise,
    PatchImageDiscriminator,
    PatchVideoDiscriminator,
    VideoDiscriminator,
    VideoGenerator,
    init_torch02,
    use_spectral_norm,
)


def codes(g: VideoGenerator, n: int, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    category = g.one_hot(torch.arange(n) % max(g.dim_category, 1))
    return (
        torch.randn(n, g.dim_motion),
        torch.randn(n, frames, g.dim_motion),
        torch.randn(n, g.dim_content),
        category,
    )


def small(size: int = 32, **options: Any) -> VideoGenerator:
    torch.manual_seed(0)
    g = VideoGenerator(dim_content=5, dim_motion=3, ngf=2, size=size, **options)
    with torch.no_grad():
        for _ in range(20):  # without batch statistics a fresh generator gives grey
            g(*codes(g, 8, 4))
    return g.eval()


@pytest.mark.parametrize(
    ("network", "arguments", "count"),
    [
        (VideoGenerator, {"dim_category": 6}, 3_298_836),
        (VideoGenerator, {"dim_category": 0}, 3_249_684),
        (ImageDiscriminator, {}, 2_765_568),
        (PatchImageDiscriminator, {}, 663_296),
        (VideoDiscriminator, {}, 11_056_896),
        (PatchVideoDiscriminator, {}, 2_650_880),
        (CategoricalVideoDiscriminator, {"dim_category": 6}, 11_253_504),
        (CategoricalVideoDiscriminator, {"dim_category": 4}, 11_056_896 + 4 * 32_768),
    ],
)
def test_official_number_of_parameters(network: type[nn.Module], arguments: dict[str, int], count: int) -> None:
    with torch.device("meta"):
        built = network(**arguments)
    assert sum(p.numel() for p in built.parameters()) == count


def test_gru_and_image_generator_apart() -> None:
    with torch.device("meta"):
        g = VideoGenerator()
    assert sum(p.numel() for p in g.recurrent.parameters()) == 660
    assert sum(p.numel() for p in g.main.parameters()) == 3_249_024


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("n", [1, 3])
def test_shapes_of_clips_and_frames(size: int, n: int) -> None:
    g = small(size, dim_category=2, channels=1)
    inputs = codes(g, n, 5)
    assert g(*inputs).shape == (n, 1, 5, size, size)
    assert g(*inputs, torch.zeros(n, dtype=torch.int64)).shape == (n, 1, size, size)


def test_video_discriminator_takes_three_frames_away_in_each_layer() -> None:
    times: list[int] = []
    network = VideoDiscriminator(ndf=1)
    for layer in network.main:
        if isinstance(layer, nn.Conv3d):
            layer.register_forward_hook(lambda _layer, x, y: times.extend((x[0].shape[2], y.shape[2])))
    assert network(torch.zeros(2, 3, 16, 64, 64)).shape == (2, 1, 1, 1, 1)
    assert times == [16, 13, 13, 10, 10, 7, 7, 4, 4, 1]


@pytest.mark.parametrize(
    ("network", "size", "frames", "shape"),
    [
        (ImageDiscriminator, 64, None, (1, 1, 1)),
        (ImageDiscriminator, 32, None, (1, 1, 1)),
        (PatchImageDiscriminator, 64, None, (1, 4, 4)),
        (PatchImageDiscriminator, 32, None, (1, 4, 4)),
        (VideoDiscriminator, 32, 16, (1, 4, 1, 1)),
        (VideoDiscriminator, 64, 20, (1, 5, 1, 1)),
        (PatchVideoDiscriminator, 64, 16, (1, 4, 4, 4)),
        (PatchVideoDiscriminator, 32, 16, (1, 7, 4, 4)),
        (CategoricalVideoDiscriminator, 64, 16, (7, 1, 1, 1)),
        (CategoricalVideoDiscriminator, 32, 16, (7, 4, 1, 1)),
    ],
)
@pytest.mark.parametrize("n", [1, 2])
def test_shapes_of_logits(
    network: type[Discriminator], size: int, frames: int | None, shape: tuple[int, ...], n: int
) -> None:
    d = network(ndf=1, size=size)
    x = torch.zeros(n, 3, size, size) if frames is None else torch.zeros(n, 3, frames, size, size)
    assert d(x).shape == (n, *shape)


@pytest.mark.parametrize("network", [VideoDiscriminator, PatchVideoDiscriminator, CategoricalVideoDiscriminator])
@pytest.mark.parametrize("size", [32, 64])
def test_shortest_clip(network: type[Discriminator], size: int) -> None:
    d = network(ndf=1, size=size).eval()
    assert d(torch.zeros(1, 3, d.min_frames, size, size)).shape[2] == 1
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        d(torch.zeros(1, 3, d.min_frames - 1, size, size))


@pytest.mark.parametrize("size", [16, 48, 96, 128])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(BenchError, match=f"found size {size}"):
        VideoGenerator(size=size)
    with pytest.raises(BenchError, match=f"found size {size}"):
        PatchImageDiscriminator(size=size)


def test_code_of_a_frame_is_content_then_category_then_motion() -> None:
    g = small(dim_category=4)
    h0, e, content, category = codes(g, 2, 3)
    z = g.latents(h0, e, content, category)
    assert z.shape == (2, 3, 5 + 4 + 3)
    for frame in range(3):
        assert torch.equal(z[:, frame, :5], content)
        assert torch.equal(z[:, frame, 5:9], category)
    first = g.recurrent(e[:, 0], h0)  # h0 itself is no frame's code
    torch.testing.assert_close(z[:, 0, 9:], first)
    torch.testing.assert_close(z[:, 1, 9:], g.recurrent(e[:, 1], first))


def test_category_enters_after_the_gru() -> None:
    g = small(dim_category=4)
    h0, e, content, category = codes(g, 2, 3)
    other = g.latents(h0, e, content, category.roll(1, 1))
    assert torch.equal(other[..., 9:], g.latents(h0, e, content, category)[..., 9:])


def test_category_enters_the_gru_in_the_paper() -> None:
    g = small(dim_category=4, category_input="gru")
    h0, e, content, category = codes(g, 2, 3)
    z = g.latents(h0, e, content, category)
    assert z.shape == (2, 3, 5 + 3) and torch.equal(z[..., :5], content[:, None].expand(-1, 3, -1))
    moved = g.latents(h0, e, content, category.roll(1, 1))
    assert torch.equal(moved[..., :5], z[..., :5]) and (moved[..., 5:] != z[..., 5:]).all()
    by_hand = h0
    for eps in e.unbind(1):
        by_hand = g.recurrent(torch.cat([category, eps], 1), by_hand)
    assert torch.equal(z[:, -1, 5:], by_hand)


def test_one_hot() -> None:
    assert small(dim_category=3).one_hot(torch.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert small(dim_category=0).one_hot(torch.tensor([0, 0])).shape == (2, 0)


def test_single_frames_are_those_of_the_clip() -> None:
    g = small()
    inputs = codes(g, 3, 6)
    at = torch.tensor([5, 0, 2])
    clips = g(*inputs)
    torch.testing.assert_close(g(*inputs, at), torch.stack([clips[i, :, t] for i, t in enumerate(at)]))


def test_a_longer_clip_begins_with_the_shorter() -> None:
    g = small()
    h0, e, content, category = codes(g, 2, 32)
    long = g(h0, e, content, category)
    assert long.shape[2] == 32
    torch.testing.assert_close(long[:, :, :16], g(h0, e[:, :16], content, category))


def test_new_motion_noise_changes_the_path_and_not_the_content() -> None:
    g = small()
    h0, e, content, category = codes(g, 2, 6)
    other = torch.randn_like(e)
    assert torch.equal(g.latents(h0, other, content, category)[..., :5], g.latents(h0, e, content, category)[..., :5])
    assert not torch.allclose(g(h0, other, content, category), g(h0, e, content, category), atol=0.05)


def test_batch_norm_sees_all_frames_of_all_clips() -> None:
    g = small().train()
    norm = g.main[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    norm.reset_running_stats()
    inputs = codes(g, 4, 6)
    z = g.latents(*inputs).flatten(0, 1)[..., None, None]
    before_norm = g.main[0](z)
    g(*inputs)
    torch.testing.assert_close(norm.running_mean, 0.1 * before_norm.mean((0, 2, 3)))


def test_noise_is_added_in_evaluation_too() -> None:
    torch.manual_seed(0)
    x = torch.zeros(200, 200)
    for noise in (Noise(0.3).train(), Noise(0.3).eval()):
        y = noise(x)
        assert y.std().item() == pytest.approx(0.3, rel=0.02) and abs(y.mean().item()) < 0.01
    assert torch.equal(Noise(0.0)(x), x)


def test_noise_is_what_randn_draws_and_leaves_its_input_alone() -> None:
    x = torch.rand(2, 3, 4, 8, 8, requires_grad=True)
    torch.manual_seed(7)
    plain = x + 0.1 * torch.randn_like(x)
    torch.manual_seed(7)
    before = x.detach().clone()
    y = Noise(0.1)(x)
    torch.testing.assert_close(y, plain, rtol=0, atol=1e-6)
    assert torch.equal(x, before)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(slope, torch.ones_like(x))


@pytest.mark.parametrize("dims", [(0, 2, 1, 3, 4), (0, 4, 1, 2, 3)])
def test_noise_reaches_every_number_of_clips_that_are_not_contiguous(dims: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.zeros(6, 5, 8, 9, 10).permute(dims)[:, :, 1:]
    y = Noise(0.3)(x)
    assert not x.is_contiguous() and y.shape == x.shape and (y != 0).all()
    assert y.std().item() == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize("network", [VideoDiscriminator, PatchVideoDiscriminator, CategoricalVideoDiscriminator])
@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_the_layout_that_is_fast_gives_the_gradients_of_the_plain_one(network: type[Discriminator], norm: str) -> None:
    """float64, where another order of sums differs by 1e-14."""
    torch.manual_seed(0)
    d = network(ndf=2)
    if norm == "spectral":
        use_spectral_norm(d)
        d.eval()  # power iteration would change the weights between the calls
    d.double()
    clips = torch.randn(2, 16, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    kinds = []
    d.main[1 if isinstance(d.main[0], Noise) else 0].register_forward_pre_hook(
        lambda _, x: kinds.append(x[0].is_contiguous(memory_format=torch.channels_last_3d))
    )
    results = []
    for judge in (d, d.main):
        logits = judge(clips.transpose(1, 2))
        leaves = [clips, *d.parameters()]
        results.append([logits, *torch.autograd.grad(logits.square().sum(), leaves)])
    assert kinds == [True, False]
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("network", "before"),
    [
        (ImageDiscriminator, 4),
        (PatchImageDiscriminator, 4),  # its last layer is strided and has noise before it
        (VideoDiscriminator, 4),
        (PatchVideoDiscriminator, 3),
        (CategoricalVideoDiscriminator, 4),
    ],
)
def test_noise_stands_before_the_official_layers(network: type[Discriminator], before: int) -> None:
    d = network(ndf=1, sigma=0.5)
    layers = list(d.main)
    noisy = [i for i, layer in enumerate(layers) if isinstance(layer, Noise)]
    assert len(noisy) == before and all(layers[i].sigma == 0.5 for i in noisy)
    assert all(isinstance(layers[i + 1], nn.Conv2d | nn.Conv3d) for i in noisy)
    assert not isinstance(layers[2], nn.BatchNorm2d | nn.BatchNorm3d)


def test_torch02_start() -> None:
    torch.manual_seed(0)
    g, d = VideoGenerator(ngf=16), VideoDiscriminator(ndf=8)
    convolution = d.get_parameter("main.4.weight").detach().clone()
    recurrent = g.recurrent.weight_hh.detach().clone()
    for network in (g, d):
        init_torch02(network)
    for layer in (layer for layer in g.main if isinstance(layer, nn.ConvTranspose2d)):
        bound = 1 / math.sqrt(layer.in_channels * 16)
        assert 0.98 * bound < layer.weight.abs().max().item() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    gamma = torch.cat(
        [layer.weight for layer in [*g.main, *d.main] if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d)]
    )
    assert gamma.min() >= 0 and gamma.max() <= 1 and gamma.mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(d.get_parameter("main.4.weight"), convolution)
    assert torch.equal(g.recurrent.weight_hh, recurrent)


@pytest.mark.parametrize("cls", [ImageDiscriminator, PatchImageDiscriminator, CategoricalVideoDiscriminator])
def test_spectral_norm_holds_each_layer_at_one(cls: type[Discriminator]) -> None:
    """Against the singular values themselves, after enough steps of power iteration."""
    torch.manual_seed(0)
    network = cls(ndf=8, size=32)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layer.weight.data.mul_(torch.rand(()) * 20)
    use_spectral_norm(network)
    shape = (1, 3, 16, 32, 32) if issubclass(cls, VideoDiscriminator) else (1, 3, 32, 32)
    for _ in range(60):
        network(torch.randn(shape))
    layers = [layer for layer in network.eval().modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d))]
    assert len(layers) > 2 and not any(isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d)) for m in network.modules())
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1)).max()
        assert float(largest) == pytest.approx(1, abs=0.02) and layer.bias is not None
