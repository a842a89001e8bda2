"""BatchNorm statistics of averaged weights: their own, whenever they are asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.callbacks.ema import STANDING_BATCH, STANDING_CLIPS, GeneratorEMA, sampling_weights
from lightning_modules.contract import ClipNoise
from tests.helpers.reelbench_toys import ToyGAN
from tests.helpers.toy_fit import fit_toy

STATISTICS = ("net.1.running_mean", "net.1.running_var")


def trained(folder: Path) -> tuple[Any, ToyGAN, GeneratorEMA]:
    torch.manual_seed(1)
    ema, method = GeneratorEMA(0.9), ToyGAN(lr=0.05)
    return fit_toy(folder, [ema], 12, method), method, ema


def measured(generator: Any) -> tuple[Tensor, Tensor]:
    """Mean and variance in front of the BatchNorm layer, worked out by hand from the keyed noise."""
    means, variances = [], []
    for start in range(0, STANDING_CLIPS, STANDING_BATCH):
        z = ClipNoise(0, torch.arange(start, start + STANDING_BATCH)).normal(8)
        hidden = z @ generator.net[0].weight.T + generator.net[0].bias
        means.append(hidden.mean(0))
        variances.append(hidden.var(0))  # unbiased, as running statistics are
    return torch.stack(means).mean(0), torch.stack(variances).mean(0)


def test_statistics_are_those_of_the_averaged_weights(tmp_path: Path) -> None:
    trainer, method, ema = trained(tmp_path)
    assert ema.shadow is not None
    copied = ema.shadow.state_dict()["net.1.running_mean"].clone()
    live = {key: value.clone() for key, value in method.state_dict().items()}
    before = torch.get_rng_state()
    with sampling_weights(trainer, method):
        mean, variance = (method.generator.state_dict()[key] for key in STATISTICS)
    torch.testing.assert_close((mean, variance), tuple(measured(ema.shadow)))
    assert (mean - copied).abs().max() > 1e-2  # what was copied were the statistics of other weights
    assert ema.shadow.net[1].momentum == 0.1 and not ema.shadow.training  # type: ignore[index, union-attr]
    assert all(torch.equal(method.state_dict()[key], value) for key, value in live.items())
    assert torch.equal(torch.get_rng_state(), before) and method.training


def test_what_is_saved_is_what_is_sampled(tmp_path: Path) -> None:
    trainer, method, ema = trained(tmp_path)
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    saved = torch.load(tmp_path / "first.ckpt", weights_only=True)["callbacks"]["GeneratorEMA"]["shadow"]
    with sampling_weights(trainer, method):
        sampled = method.generator.state_dict()
        assert all(torch.equal(saved[key], sampled[key]) for key in STATISTICS)
    again = GeneratorEMA(0.9)
    again.setup(trainer, ToyGAN(), "test")
    again.load_state_dict({"shadow": saved, "seen": 12})
    assert again.shadow is not None
    torch.testing.assert_close(tuple(again.shadow.state_dict()[key] for key in STATISTICS), measured(ema.shadow))


def test_looking_at_the_average_does_not_disturb_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, method, ema = trained(tmp_path / "a")
    after = GeneratorEMA.on_train_batch_end

    def looks(self: GeneratorEMA, *args: Any) -> None:
        after(self, *args)
        self.settle(args[0], args[1])

    monkeypatch.setattr(GeneratorEMA, "on_train_batch_end", looks)
    _, other, looked = trained(tmp_path / "b")
    assert all(torch.equal(a, b) for a, b in zip(method.parameters(), other.parameters(), strict=True))
    assert ema.shadow is not None and looked.shadow is not None
    assert all(torch.equal(a, b) for a, b in zip(ema.shadow.parameters(), looked.shadow.parameters(), strict=True))
