import math

import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.deformable_gan.content import ContentLoss
from lightning_modules.deformable_gan.features import DEVIATION, LEVELS, MEAN, PictureFeatures
from lightning_modules.deformable_gan.losses import discriminator_loss, generator_loss, nearest_neighbour
from metrics.features.vgg import Vgg19Features
from metrics.weights import MissingWeights
from tests.helpers.peak_memory import peak_memory
from tests.lightning_modules.deformable_gan.naive import all_offsets


def pair(n: int = 2, c: int = 5, h: int = 9, w: int = 7) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(n, c, h, w, generator=draw), torch.randn(n, c, h, w, generator=draw)


@pytest.mark.parametrize("area", [1, 3, 5, 9, 21])
def test_nearest_neighbour_equals_all_offsets_with_its_gradient(area: int) -> None:
    drawn, real = pair()
    ours, naive = drawn.clone().requires_grad_(), drawn.clone().requires_grad_()
    torch.testing.assert_close(nearest_neighbour(ours, real, area, "none"), all_offsets(naive, real, area))
    nearest_neighbour(ours, real, area).backward()
    all_offsets(naive, real, area).mean().backward()
    torch.testing.assert_close(ours.grad, naive.grad)


def test_nearest_neighbour_of_one_pixel_is_the_sum_over_channels() -> None:
    drawn, real = pair()
    torch.testing.assert_close(nearest_neighbour(drawn, real, 1), (drawn - real).abs().mean() * drawn.shape[1])
    by_pixel = nearest_neighbour(drawn, real, 3, "none")
    torch.testing.assert_close(nearest_neighbour(drawn, real, 3, "sum"), by_pixel.sum((1, 2)).mean())


def test_nearest_neighbour_forgives_shifts_within_its_area() -> None:
    _, real = pair()
    for shift, area, forgiven in ((1, 3, True), (2, 3, False), (2, 5, True)):
        inner = nearest_neighbour(real.roll(shift, 3), real, area, "none")[:, :, shift:]
        assert (inner.max() == 0) == forgiven


def test_nearest_neighbour_shrinks_with_the_area_and_is_not_symmetric() -> None:
    drawn, real = pair()
    values = [nearest_neighbour(drawn, real, area) for area in (1, 3, 5, 7)]
    assert values == sorted(values, reverse=True) and values[0] > values[-1]
    assert not torch.isclose(values[1], nearest_neighbour(real, drawn, 3))


def test_nearest_neighbour_holds_three_feature_maps_at_most() -> None:
    drawn, real = torch.randn(1, 64, 64, 64, requires_grad=True), torch.randn(1, 64, 64, 64)
    held = peak_memory(lambda: torch.autograd.grad(nearest_neighbour(drawn, real, 5), drawn))
    assert 1 < held / (real.numel() * 4) <= 3
    assert peak_memory(lambda: all_offsets(drawn, real, 5)) / (real.numel() * 4) > 20  # of the plain form, to compare


def test_log_losses() -> None:
    real, fake = torch.tensor([[0.0, 2.0]]), torch.tensor([[-1.0, 3.0]])

    def p(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    expected = -(math.log(p(0)) + math.log(p(2))) / 2 - (math.log(1 - p(-1)) + math.log(1 - p(3))) / 2
    torch.testing.assert_close(discriminator_loss(real, fake), torch.tensor(expected), rtol=1e-5, atol=1e-5)
    expected = -(math.log(p(-1)) + math.log(p(3))) / 2
    torch.testing.assert_close(generator_loss(fake), torch.tensor(expected), rtol=1e-5, atol=1e-5)
    # The official 1e-7 keeps a hopeless logit's loss finite.
    assert generator_loss(torch.tensor([-200.0])) == pytest.approx(-math.log(1e-7), rel=1e-4)
    assert discriminator_loss(torch.tensor([200.0]), torch.tensor([200.0])) < 17


def network() -> Vgg19Features:
    torch.manual_seed(0)
    return Vgg19Features(width=2)


def test_features_see_official_means_and_units() -> None:
    vgg, x = network(), torch.rand(2, 3, 16, 16) * 2 - 1
    levels = (x + 1) / 2
    for means, mean in (("swapped", MEAN[::-1]), ("imagenet", MEAN)):
        scaled = (levels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
        first = vgg.backbone.features[:4](scaled)
        second = vgg(scaled)[1]
        for layer, expected in (("relu1_2", first), ("relu2_1", second)):
            plain = PictureFeatures(layer, means, "deviations", vgg)(x)  # type: ignore[arg-type]
            torch.testing.assert_close(plain, expected)
            torch.testing.assert_close(PictureFeatures(layer, means, "levels", vgg)(x), expected * LEVELS)  # type: ignore[arg-type]
    assert pytest.approx(57.63) == LEVELS  # (58.395 + 57.12 + 57.375) / 3
    assert first.shape == (2, 2, 16, 16) and second.shape == (2, 4, 8, 8)


def test_content_losses_and_their_official_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.deformable_gan.features.load", network)
    draw = torch.Generator().manual_seed(0)
    drawn, real = (torch.rand(2, 3, 16, 16, generator=draw) * 2 - 1 for _ in range(2))
    drawn.requires_grad_()
    torch.testing.assert_close(ContentLoss("l1")(drawn, real), 100 * (drawn - real).abs().mean())
    torch.testing.assert_close(ContentLoss("l1", 10.0)(drawn, real), 10 * (drawn - real).abs().mean())
    colours = ContentLoss("nearest", features="rgb", area=5)(drawn, real)
    torch.testing.assert_close(colours, 0.01 * nearest_neighbour(drawn, real, 5))
    for kind, layer in (("nearest", "relu1_2"), ("perceptual", "relu2_1")):
        loss = ContentLoss(kind)  # type: ignore[arg-type]
        loss.read()
        phi = PictureFeatures(layer, network=network())  # type: ignore[arg-type]
        a, b = phi(drawn), phi(real)
        expected = 0.01 * nearest_neighbour(a, b, 3) if kind == "nearest" else 0.5 * (a - b).abs().mean()
        torch.testing.assert_close(loss(drawn, real), expected)
        (gradient,) = torch.autograd.grad(loss(drawn, real), drawn)
        assert gradient.abs().max() > 0 and not any(p.requires_grad for p in phi.parameters())


def test_missing_weights_are_told_and_how_to_get_them(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="reelbench weights fetch vgg19"):
        ContentLoss("nearest").read()
    ContentLoss("nearest", features="rgb").read()
    ContentLoss("l1").read()


def test_content_refuses_what_means_nothing() -> None:
    for area in (0, 2, -3):
        with pytest.raises(BenchError, match=f"nn_area must be odd and at least 1, found {area}"):
            ContentLoss("nearest", area=area)
    with pytest.raises(BenchError, match="perceptual compares features of VGG-19"):
        ContentLoss("perceptual", features="rgb")
