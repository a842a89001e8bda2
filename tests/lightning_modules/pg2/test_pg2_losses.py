import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_modules.pg2.losses import Adversarial, discriminator_loss, generator_loss, judge, pose_mask_l1


def test_pose_mask_loss_by_hand() -> None:
    image, target = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    image[0, :, 0, 0] = torch.tensor([0.5, -0.25, 0.0])  # on the person
    image[0, :, 0, 1] = torch.tensor([1.0, 1.0, 1.0])  # beside
    mask = torch.tensor([[[[1.0, 0.0]]]])
    # (0.75 + 3) / 6, and 0.75 / 6 once more
    assert float(pose_mask_l1(image, target, None)) == pytest.approx(3.75 / 6)
    assert float(pose_mask_l1(image, target, mask)) == pytest.approx(4.5 / 6)
    assert float(pose_mask_l1(image, target, torch.ones_like(mask))) == pytest.approx(2 * 3.75 / 6)


def softplus(x: list[float]) -> float:
    return float(np.log1p(np.exp(np.array(x))).mean())


@pytest.mark.parametrize("scheme", ["market", "deepfashion", "pairs"])
def test_losses_by_hand(scheme: Adversarial) -> None:
    target, fake, source = [1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]
    logits = {"target": torch.tensor(target), "fake": torch.tensor(fake), "source": torch.tensor(source)}
    real, false, still = softplus([-v for v in target]), softplus(fake), softplus(source)
    fooled, still_fooled = softplus([-v for v in fake]), softplus([-v for v in source])
    generator = {"market": fooled, "deepfashion": (fooled + still_fooled) / 2, "pairs": fooled}
    critic = {
        "market": 0.5 * real + 0.25 * false + 0.25 * still,
        "deepfashion": (real + (false + still) / 2) / 2,
        "pairs": real + false,
    }
    assert float(generator_loss(scheme, logits)) == pytest.approx(generator[scheme], rel=1e-5)
    assert float(discriminator_loss(scheme, logits)) == pytest.approx(critic[scheme], rel=1e-5)


class Recorder(nn.Module):
    """Gives the first value of each picture, and keeps what it was shown."""

    def forward(self, x: Tensor) -> Tensor:
        self.shown = x
        return x[:, 0, 0, 0]


@pytest.mark.parametrize(
    ("scheme", "order"),
    [
        ("market", ["target", "source", "coarse", "fake"]),
        ("deepfashion", ["target", "fake", "source"]),
        ("pairs", ["target", "fake"]),
    ],
)
def test_what_is_judged(scheme: Adversarial, order: list[str]) -> None:
    numbers = {"source": 1, "target": 2, "coarse": 3, "fake": 4}
    pictures = {name: torch.full((2, 3, 1, 1), float(number)) for name, number in numbers.items()}
    recorder = Recorder()
    logits = judge(recorder, scheme, **pictures)
    assert list(logits) == order
    if scheme == "pairs":  # source first, in every pair
        assert recorder.shown[:, ::3, 0, 0].tolist() == [[1, 2], [1, 2], [1, 4], [1, 4]]
    else:
        assert {name: float(value[0]) for name, value in logits.items()} == {name: numbers[name] for name in order}


def test_one_stage_has_no_coarse_picture_beside() -> None:
    picture = torch.zeros(2, 3, 1, 1)
    assert list(judge(Recorder(), "market", picture, picture, picture, picture)) == ["target", "source", "fake"]
