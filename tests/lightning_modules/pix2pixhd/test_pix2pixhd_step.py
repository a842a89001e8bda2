"""Training: gradients of the official order of things, stages and learning rates as functions of the step."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.pix2pixhd.condition import one_frame
from lightning_modules.pix2pixhd.module import Pix2PixHD
from lightning_modules.pix2pixhd.pool import ImagePool
from lightning_modules.pix2pixhd.schedule import Decay
from metrics.features.vgg import Vgg19Features
from metrics.weights import MissingWeights
from tests.helpers.pix2pixhd_step import a_batch, official_step, small, train

WIDE = {"n_local_enhancers": 1, "n_blocks_local": 1, "ngf": 2}


class Seen(L.Callback):
    """Gradients that the optimizers saw, and the learning rates at which they stepped."""

    def __init__(self) -> None:
        self.gradients: dict[str, Tensor] = {}
        self.rates: list[tuple[float, float]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.gradients |= {
            name: p.grad.clone()
            for name, p in pl_module.named_parameters()
            if p.grad is not None and id(p) in own and p.requires_grad
        }

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.rates.append(tuple(o.param_groups[0]["lr"] for o in trainer.optimizers))


def vgg() -> Vgg19Features:
    torch.manual_seed(1)
    return Vgg19Features(4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"feat_num": 2, "nef": 4, "n_downsample_E": 2},
        {"norm": "batch"},
        {"gan": "bce"},
        {"lambda_vgg": 5.0},
        {"lambda_feat": 0},
        {"label_nc": 0, "instances": False},
        {**WIDE, "fix_global_steps": 3},
    ],
    ids=["labels", "features", "batch_norm", "bce", "vgg", "gan_alone", "condition", "enhancer"],
)
def test_gradients_are_those_of_the_official_order(options: dict[str, Any]) -> None:
    ours, plain = small(**options), small(**options)
    if ours.lambda_vgg:
        ours._vgg, plain._vgg = [vgg()], [vgg()]
    seen = Seen()
    train(ours, 1, seen)
    trained = plain.generator.parameters()
    if plain.fix_global_steps:  # what the official code optimises in this stage
        trained = (p for name, p in plain.generator.named_parameters() if not name.startswith("net.model."))
    optimizers = [torch.optim.SGD(parameters, 0.0) for parameters in (trained, plain.discriminator.parameters())]
    images = one_frame(a_batch(), torch.zeros(2, dtype=torch.int64))  # type: ignore[arg-type]
    expected = official_step(plain, images, optimizers)
    assert set(seen.gradients) == set(expected)
    for name, gradient in expected.items():
        # A bias in front of a normalisation has no gradient but rounding.
        torch.testing.assert_close(seen.gradients[name], gradient, rtol=1e-4, atol=2e-6, msg=name)
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-2


def moved(before: dict[str, Tensor], method: Pix2PixHD) -> set[str]:
    """Parts of the generator whose weights changed."""
    after = method.generator.state_dict()
    return {key.split(".")[0] + "." + key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}


class Parts(L.Callback):
    """What each step changed."""

    def __init__(self) -> None:
        self.steps: list[set[str]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.before = {k: v.clone() for k, v in pl_module.generator.state_dict().items() if k != "coarse_only"}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.steps.append({part.rstrip("0123456789") for part in moved(self.before, pl_module)})


STAGES = {**WIDE, "global_steps": 2, "fix_global_steps": 2, "constant_steps": 1, "decay_steps": 10}


def test_stages_train_their_parts_and_every_stage_has_the_steps_rate() -> None:
    parts, seen = Parts(), Seen()
    train(small(**STAGES), 6, parts, seen)
    enhancer, coarse = {"net.model1_"}, {"net.model"}
    assert parts.steps == [coarse | {"head."}] * 2 + [enhancer] * 2 + [coarse | enhancer] * 2
    # Officially a stale optimizer went on at the first rate once G1 was released.
    expected = [2e-4 * rate for rate in (1, 1, 0.9, 0.8, 0.7, 0.6)]
    assert seen.rates == [(pytest.approx(rate), pytest.approx(rate)) for rate in expected]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_run_that_was_broken_off_in_any_stage_ends_as_an_unbroken_one(cut: int, tmp_path: Path) -> None:
    class Seeded(L.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            torch.manual_seed(trainer.global_step)

    options = {**STAGES, "pool_size": 3}
    whole = small(**options)
    train(whole, 5, Seeded())
    train(small(**options), cut, Seeded()).save_checkpoint(tmp_path / "cut.ckpt")
    rest = small(**options)
    torch.nn.init.zeros_(rest.generator.net.get_parameter("model.1.weight"))  # what the checkpoint has to replace

    class Rest(L.Callback):
        """The loader gives step after step from the first; a run of the bench begins at its step."""

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            batch.update(a_batch(trainer.global_step))

    train(rest, 5, Seeded(), Rest(), ckpt=tmp_path / "cut.ckpt")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(rest.state_dict()[name], tensor), name


def test_one_frame_of_each_clip_is_trained_on_and_steps_take_others() -> None:
    taken: list[Tensor] = []
    method = small(label_nc=0, instances=False)
    method.generator.register_forward_pre_hook(lambda _, given: taken.append(given[0].clone()))
    train(method, 4, clips=2, frames=6)
    shown = []
    for step, images in enumerate(taken):
        clips = a_batch(step, frames=6)["condition"]  # B C T H W
        equal = (clips == images[:, :, None]).flatten(3).all(3).all(1)  # B T
        assert (equal.sum(1) == 1).all()
        shown.append(tuple(equal.nonzero()[:, 1].tolist()))
    assert len(set(shown)) > 1 and len({frame for frames in shown for frame in frames}) > 2


def test_the_rate_of_the_first_stage_falls_to_zero_and_the_next_begins_anew() -> None:
    options = {**STAGES, "global_steps": 4, "global_decay_steps": 2, "constant_steps": 5, "decay_steps": 10}
    method = small(**options)
    assert [method.rate(step) / 2e-4 for step in range(8)] == pytest.approx([1, 1, 1, 0.5, 1, 1, 0.9, 0.8])
    with pytest.raises(BenchError, match="global_decay_steps must lie in 0 to global_steps, 4, found 5"):
        small(**{**options, "global_decay_steps": 5})


def test_decay_is_constant_then_a_line_to_zero() -> None:
    decay = Decay(2.0, constant=4, falling=4, every=1)
    assert [decay.at(step) for step in (0, 4, 5, 6, 8, 100)] == [2.0, 2.0, 1.5, 1.0, 0.0, 0.0]
    by_epoch = Decay(2.0, constant=4, falling=4, every=2)
    assert [by_epoch.at(step) for step in (4, 5, 6, 7)] == [2.0, 2.0, 1.0, 1.0]
    assert Decay(2.0, constant=0, falling=0).at(10**6) == 2.0


def test_pool_gives_new_fakes_until_it_is_full_and_then_half_of_them() -> None:
    torch.manual_seed(0)
    pool = ImagePool(8)
    first = torch.arange(8.0).reshape(8, 1, 1, 1)
    assert torch.equal(pool.exchange(first), first)
    kept = 0
    for step in range(50):
        fakes = torch.arange(4.0).reshape(4, 1, 1, 1) + 100 * (step + 1)
        given = pool.exchange(fakes)
        kept += int((given != fakes).sum())
        assert len(pool.kept) == 8
    assert 75 < kept < 125  # of 200: four standard deviations are 28
    assert torch.equal(ImagePool(0).exchange(first), first)


def test_discriminators_see_fakes_of_earlier_steps() -> None:
    judged: list[Tensor] = []
    method = small(pool_size=2, lambda_feat=0)
    method.discriminator.register_forward_pre_hook(lambda _, given: judged.append(given[0].detach().clone()))
    torch.manual_seed(0)
    train(method, 8)
    fakes = [both[2:] for both in judged[::2]]  # every second pass is the generator's
    assert len(fakes) == 8 and len(method.pool.kept) == 2
    earlier = {tuple(f.flatten()[:50].tolist()) for step in fakes[:1] for f in step}
    again = [tuple(f.flatten()[:50].tolist()) in earlier for step in fakes[1:] for f in step]
    assert any(again) and not all(again)


def test_perceptual_loss_without_its_weights_is_an_error_that_tells_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="reelbench weights fetch vgg19"):
        train(small(lambda_vgg=10.0), 1)


def test_a_discriminator_judges_the_same_size_in_all_stages() -> None:
    method = small(**STAGES, num_D=3)
    before = {name: p.clone() for name, p in method.discriminator.named_parameters()}

    def unmoved() -> set[str]:
        named = method.discriminator.named_parameters()
        return {name.split("_")[0] for name, p in named if torch.equal(p, before[name])}

    train(method, 2)
    assert unmoved() == {"scale2"}  # the full size comes later
    train(method, 3)
    assert not unmoved()
