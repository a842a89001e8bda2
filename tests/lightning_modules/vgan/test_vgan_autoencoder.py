import sys
from pathlib import Path

import pytest
import torch

from datamodules.batch import to_float
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.vgan.autoencoder import VGANAutoencoder
from lightning_modules.vgan.mixture import Mixture
from tests.helpers.built import build_only

CENTRES = torch.tensor([[-4.0, 0.0], [3.0, 2.0], [3.0, -5.0]])
SPREAD = torch.tensor([[0.5, 0.2], [0.1, 0.4], [0.3, 0.3]])
SHARE = torch.tensor([0.5, 0.2, 0.3])


def points() -> torch.Tensor:
    torch.manual_seed(0)
    of = torch.multinomial(SHARE, 6000, replacement=True)
    return CENTRES[of] + SPREAD[of] * torch.randn(6000, 2)


def test_finds_the_gaussians_that_made_the_points_and_draws_from_them() -> None:
    mixture = Mixture(3, 2)
    mixture.fit(points())
    order = torch.cdist(CENTRES, mixture.means).argmin(1)
    torch.testing.assert_close(mixture.means[order], CENTRES, rtol=0, atol=0.05)
    torch.testing.assert_close(mixture.deviations[order], SPREAD, rtol=0.1, atol=0)
    torch.testing.assert_close(mixture.weights[order], SHARE, rtol=0, atol=0.03)
    drawn = mixture(torch.rand(6000), torch.randn(6000, 2))
    again = Mixture(3, 2)
    again.fit(drawn)
    order = torch.cdist(CENTRES, again.means).argmin(1)
    torch.testing.assert_close(again.means[order], CENTRES, rtol=0, atol=0.05)
    torch.testing.assert_close(again.weights[order], SHARE, rtol=0, atol=0.04)


def test_the_uniform_number_chooses_the_component() -> None:
    mixture = Mixture(3, 1)
    mixture.weights.copy_(torch.tensor([0.25, 0.5, 0.25]))
    mixture.means.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
    uniform = torch.tensor([0.0, 0.2, 0.25, 0.5, 0.74, 0.76, 1 - 2**-24])
    assert mixture(uniform, torch.zeros(7, 1)).flatten().tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_standard_normal_until_fitted() -> None:
    torch.manual_seed(0)
    normal = torch.randn(5, 4)
    assert torch.equal(Mixture(8, 4)(torch.rand(5), normal), normal)


@pytest.mark.parametrize("broken", [torch.zeros(2, 2), torch.full((9, 2), float("nan"))])
def test_points_that_cannot_be_fitted(broken: torch.Tensor) -> None:
    with pytest.raises(BenchError, match="a mixture of 3 Gaussians needs as many finite points"):
        Mixture(3, 2).fit(broken)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    monkeypatch.setitem(sys.modules, "sklearn.exceptions", None)
    with pytest.raises(BenchError, match=r"pip install 'reelbench\[mixture\]'"):
        Mixture(1, 2).fit(torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"components": 0}, "components must be at least 1"),
        ({"components": 8, "fitted_clips": 9}, r"fitted_clips must be at least twice components \(8\), found 9"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        VGANAutoencoder(size=8, frames=4, ngf=1, ndf=1, dim_z=2, **arguments)  # type: ignore[arg-type]


def test_samples_lie_where_training_clips_are_coded(tmp_path: Path) -> None:
    cli = build_only("vgan_autoencoder_cpu", tmp_path)
    method, data = cli.model.eval(), cli.datamodule
    before = method.sample({}, ClipNoise(0, torch.arange(4)))
    method.prepare(data)
    batch = to_float(data.eval_batch("train", list(range(method.fitted_clips)), data.frames, data.stride, seed=0))
    with torch.no_grad():
        codes = method.generator.encoder(batch["video"])
    mixture = method.generator.mixture
    # Expectation maximisation keeps the mean of the points.
    torch.testing.assert_close(mixture.weights @ mixture.means, codes.mean(0), rtol=0, atol=1e-3 * float(codes.std()))
    assert mixture.weights.min() < 0.9 / len(mixture.weights)
    after = method.sample({}, ClipNoise(0, torch.arange(4)))
    assert not torch.equal(before, after)
    method.prepare(data)
    assert torch.equal(method.sample({}, ClipNoise(0, torch.arange(4))), after)
