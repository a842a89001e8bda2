import math

import pytest
import torch

from lightning_modules.losses import bce_discriminator, bce_generator


def test_undecided_logits_cost_log_two_each() -> None:
    logits = torch.zeros(3, 1, 4, 4)
    assert bce_discriminator(logits, logits).item() == pytest.approx(2 * math.log(2))
    assert bce_generator(logits).item() == pytest.approx(math.log(2))


def test_closed_form() -> None:
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    on_real = (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2
    on_fake = (math.log1p(math.exp(0.5)) + math.log1p(math.exp(3))) / 2
    assert bce_discriminator(real, fake).item() == pytest.approx(on_real + on_fake)
    assert bce_generator(fake).item() == pytest.approx((math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-3))) / 2)


def test_real_and_fake_weigh_the_same_whatever_their_number() -> None:
    real, fake = torch.full((8,), 1.0), torch.full((2,), -1.0)
    assert bce_discriminator(real, fake).item() == pytest.approx(2 * math.log1p(math.exp(-1)))


def test_extreme_logits_in_half_precision_stay_finite_and_float32() -> None:
    logits = torch.tensor([300.0, -300.0], dtype=torch.bfloat16, requires_grad=True)
    for loss, expected in ((bce_discriminator(logits, logits), 300), (bce_generator(logits), 150)):
        assert loss.dtype == torch.float32 and loss.item() == pytest.approx(expected)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.isfinite().all()
