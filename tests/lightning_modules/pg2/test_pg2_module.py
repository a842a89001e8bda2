import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.flip import mirrored
from datamodules.pose.skeletons import COCO_18
from lightning_modules.contract import ClipNoise
from lightning_modules.pg2.losses import discriminator_loss, generator_loss, judge, pose_mask_l1
from lightning_modules.pg2.module import PG2
from lightning_modules.pose_image import frames_of, wanted_of
from tests.helpers.posed_data import PosedData

TrainerFactory = Callable[..., L.Trainer]
SIZE = (64, 32)
State = dict[str, Tensor]


def tiny(**options: Any) -> PG2:
    torch.manual_seed(0)
    return PG2(**{"size": SIZE, "stage1_steps": 3, "hidden": 2, "dim_z": 3, "ndf": 2, "lr": 1e-3, **options})


def data(**options: Any) -> PosedData:
    return PosedData(**{"size": SIZE, "frames": 2, "batch_size": 2, **options})


def changed(before: State, after: State) -> set[str]:
    """Parts of the model of which any weight is another."""
    parts = {name: name.split(".")[1] if name.startswith("generator") else "discriminator" for name in before}
    return {parts[name] for name in before if not torch.equal(before[name], after[name])}


def test_each_stage_trains_its_own(trainer: TrainerFactory) -> None:
    model, states = tiny(), []

    class Keep(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            states.append((trainer.global_step, copy.deepcopy(pl_module.state_dict())))

    start = copy.deepcopy(model.state_dict())
    run = trainer(max_steps=5, callbacks=[Keep()])
    run.fit(model, data())
    assert [step for step, _ in states] == [1, 2, 3, 4, 5]
    after = [start, *(state for _, state in states)]
    moved = [changed(a, b) for a, b in pairwise(after)]
    assert moved[:3] == [{"coarse"}] * 3
    assert moved[3:] == [{"difference", "refines", "discriminator"}, {"difference", "discriminator"}]
    for (name, first), last in zip(after[2].items(), after[3].values(), strict=True):
        if name.startswith("generator.coarse"):
            assert not torch.equal(first, last), name
    for (name, first), last in zip(after[3].items(), after[5].values(), strict=True):
        if not name.startswith("generator.coarse"):
            assert not torch.equal(first, last), name
    assert {"train/adversarial", "train/l1", "train/discriminator", "train/coarse_l1"} <= set(run.callback_metrics)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"networks": "g1"}, 4),
        ({"networks": "g1", "pose_input": "coordinates", "pose_mask": False}, 4),
        ({"networks": "g1", "pose_input": "encoder"}, 4),
        ({"networks": "g1_d", "stage1_steps": 0}, 2),
        ({"networks": "g1_d", "stage1_steps": 0, "adversarial": "deepfashion", "fresh_batch": False}, 2),
        ({"stage1_steps": 0, "adversarial": "pairs"}, 2),
        ({"stage1_steps": 0, "adversarial": "deepfashion", "full_skip": True, "fresh_batch": False}, 2),
    ],
)
def test_variants_train_what_they_have(options: dict[str, Any], steps: int, trainer: TrainerFactory) -> None:
    model = tiny(**options)
    before = copy.deepcopy(model.state_dict())
    run = trainer(max_steps=steps)
    run.fit(model, data())
    frozen = "generator.coarse" if model.networks == "g1_g2_d" else "nothing"
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith(frozen), name
    assert all(value.isfinite() for value in run.callback_metrics.values()) and run.global_step == steps
    assert ("train/coarse_l1" in run.callback_metrics) == (model.networks == "g1")


class Stop(L.Callback):
    """Saves and ends the run at a step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def ended(model: PG2) -> tuple[State, list[dict[str, Any]]]:
    optimizers: Any = model.optimizers()
    return model.state_dict(), [o.optimizer.state_dict()["state"] for o in optimizers]


@pytest.mark.parametrize("at", [2, 3, 4])
def test_a_run_that_was_stopped_in_either_stage_ends_as_one_that_was_not(
    at: int, trainer: TrainerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    whole = tiny()
    trainer(max_steps=6).fit(whole, data(flip=True))
    path = tmp_path / "stopped.ckpt"
    trainer(max_steps=6, callbacks=[Stop(at, path)]).fit(tiny(), data(flip=True))
    resumed = tiny()
    for parameter in resumed.parameters():
        nn.init.zeros_(parameter)
    run = trainer(max_steps=6)
    run.fit(resumed, data(flip=True), ckpt_path=path, weights_only=True)
    assert run.global_step == 6
    (mine, mine_optimizers), (other, other_optimizers) = ended(resumed), ended(whole)
    assert int(mine["generator.refines"]) == 1
    assert mine.keys() == other.keys() and all(torch.equal(mine[k], other[k]) for k in mine)
    torch.testing.assert_close(mine_optimizers, other_optimizers, rtol=0, atol=0)


def test_the_discriminator_s_turn_has_a_batch_of_its_own(trainer: TrainerFactory, monkeypatch: Any) -> None:
    seen: dict[str, list[Tensor]] = {"generator": [], "critic": []}
    for fresh in (True, False):
        model = tiny(stage1_steps=0, fresh_batch=fresh)
        own, critic = model.generator_losses, model.critic_loss

        def generator_losses(source: Tensor, target: Tensor, *rest: Any, own: Any = own) -> Any:
            seen["generator"].append(target)
            return own(source, target, *rest)

        def critic_loss(source: Tensor, target: Tensor, *rest: Any, own: Any = critic) -> Any:
            seen["critic"].append(target)
            return own(source, target, *rest)

        monkeypatch.setattr(model, "generator_losses", generator_losses)
        monkeypatch.setattr(model, "critic_loss", critic_loss)
        trainer(max_steps=1).fit(model, data())
    fresh_pair, same_pair = zip(seen["generator"], seen["critic"], strict=True)
    assert not torch.equal(*fresh_pair) and torch.equal(*same_pair)


def test_precision_of_bf16_in_stage_2(trainer: TrainerFactory) -> None:
    model = tiny(stage1_steps=0)
    run = trainer(max_steps=2, precision="bf16-mixed")
    run.fit(model, data())
    assert all(v.isfinite() for v in run.callback_metrics.values())
    assert all(p.isfinite().all() for p in model.parameters())


def test_pictures_are_those_of_the_stage() -> None:
    model = tiny().eval()
    batch = to_float(data().eval_batch("val", [0, 1], 2, 1, 0))
    coarse = model.sample(batch, ClipNoise(0, batch["index"]))
    model.enter(2)
    fine = model.sample(batch, ClipNoise(0, batch["index"]))
    assert not torch.allclose(coarse, fine, atol=1e-3)
    with torch.no_grad():
        expected = model.draw(wanted_of(batch), refine=True)
    for clips, drawn in ((coarse, expected[0]), (fine, expected[1])):
        torch.testing.assert_close(clips.transpose(1, 2).flatten(0, 1), drawn.clamp(-1, 1), atol=1e-5, rtol=0)
    again = tiny().eval()  # as an export: what was trained is in the weights
    again.generator.load_state_dict(model.generator.state_dict())
    torch.testing.assert_close(again.sample(batch, ClipNoise(0, batch["index"])), fine)


def test_poses_as_maps() -> None:
    model = tiny(pose_radius=2)
    pose = torch.zeros(3, 18, 3)
    pose[0, 4] = torch.tensor([10.0, 20.0, 0.5])
    pose[1, 4] = torch.tensor([-1.0, 70.0, 1.0])  # outside
    maps = model.pose(pose)
    assert maps.shape == (3, 18, *SIZE) and set(maps.unique().tolist()) == {-1.0, 1.0}
    assert (maps == 1).flatten(1).sum(1).tolist() == [13, 0, 0]  # a disc of radius 2; nothing of those outside
    assert maps[0, 4, 20, 8] == maps[0, 4, 22, 10] == 1 and maps[0, 4, 22, 12] == -1
    assert (tiny().pose(pose)[0] == 1).sum() == 49


def test_poses_as_coordinates() -> None:
    model = tiny(networks="g1", pose_input="coordinates")
    pose = torch.zeros(1, 18, 3)
    pose[0, 0], pose[0, 2] = torch.tensor([31.0, 0.0, 0.3]), torch.tensor([0.0, 63.0, 1.0])
    expected = torch.zeros(18, 3)
    expected[0], expected[2] = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0, 1.0])
    assert torch.equal(model.pose(pose), expected.flatten()[None])


def test_poses_without_a_joint_are_drawn() -> None:
    batch = to_float(data().eval_batch("val", [0, 1], 2, 1, 0))
    batch["pose"] = torch.zeros_like(batch["pose"])
    for options in ({}, {"networks": "g1", "pose_input": "coordinates"}):
        assert tiny(**options).eval().sample(batch, ClipNoise(0, batch["index"])).isfinite().all()


def test_mirrored_pairs_are_mirrored_in_what_the_network_reads() -> None:
    raw = data().eval_batch("val", [0, 1], 2, 1, 0)
    once = mirrored(raw, torch.tensor([True, True]), COCO_18)
    model = tiny()
    plain, turned = (model.pose(wanted_of(to_float(b)).pose) for b in (raw, once))
    swap = torch.from_numpy(COCO_18.swap.copy())
    assert torch.equal(turned, plain.index_select(1, swap).flip(-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size is 64, but the clips of persons have height 32"),
        ({"size": (64, 64)}, "size is 32, but the clips of persons have width 64"),
    ],
)
def test_data_of_another_size(options: dict[str, Any], message: str, trainer: TrainerFactory) -> None:
    with pytest.raises(BenchError, match=message):
        trainer(max_steps=1).fit(tiny(), data(**options))


@pytest.mark.parametrize("key", ["stage1_steps", "pose_radius"])
def test_arguments_below_0(key: str) -> None:
    with pytest.raises(BenchError, match=f"model.init_args.{key} must be at least 0, found -1"):
        tiny(**{key: -1})


def test_needs() -> None:
    assert PG2.needs() == {"video", "source", "pose", "mask"}
    assert PG2.needs(pose_mask=False) == {"video", "source", "pose"}


def test_gradients_of_all_parameters_can_be_shared_whatever_was_trained_before(trainer: TrainerFactory) -> None:
    """Several processes share the gradients of what is trainable when training begins."""

    class Begin(L.Callback):
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            assert all(p.requires_grad for p in pl_module.parameters())

    model = tiny()
    for steps in (1, 5):
        trainer(max_steps=steps, callbacks=[Begin()]).fit(model, data())
        assert not all(p.requires_grad for p in model.parameters())


def test_what_each_player_minimises(trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    model, minimised = tiny(stage1_steps=1, lambda_l1=7.0), []
    backward = model.manual_backward

    def recorded(loss: Tensor) -> None:
        minimised.append(float(loss.detach()))
        backward(loss)

    monkeypatch.setattr(model, "manual_backward", recorded)
    run = trainer(max_steps=2)
    run.fit(model, data())
    found = {name.removeprefix("train/"): float(value) for name, value in run.callback_metrics.items()}
    expected = [found["coarse_l1"], found["adversarial"] + 7 * found["l1"], found["discriminator"]]
    assert minimised == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"stage1_steps": 1},
        {"networks": "g1"},
        {"stage1_steps": 0},
        {"stage1_steps": 0, "fresh_batch": False},
        {"stage1_steps": 0, "networks": "g1_d"},
        {"stage1_steps": 0, "adversarial": "pairs"},
    ],
)
def test_losses_of_a_step(options: dict[str, Any], masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which batch and which pictures each loss is of; the mask is in the batch, whether it is asked for or not."""
    model = tiny(pose_mask=masked, **options)
    mine, critic = (to_float(data().eval_batch("val", [i, i + 1], 1, 1, 0)) for i in (0, 2))
    if not model.fresh_batch:
        critic = mine
    turns: dict[str, list[Tensor]] = {}

    @contextmanager
    def turn(name: str) -> Iterator[list[Tensor]]:
        yield turns.setdefault(name, [])

    monkeypatch.setattr(model.players, "turn", turn)
    for log in ("log", "log_dict"):
        monkeypatch.setattr(model, log, lambda *_: None)
    model.training_step({"clips": mine, "discriminator": critic} if model.fresh_batch else mine, 0)
    refine = options.get("stage1_steps") == 0
    coarse, fake = model.draw(wanted_of(mine), refine)
    mask = frames_of(mine["mask"]) if masked else None
    difference = pose_mask_l1(fake, frames_of(mine["video"]), mask)
    if not refine:
        torch.testing.assert_close(turns, {"generator": [difference]})
        return
    own, other = wanted_of(mine).source, wanted_of(critic).source
    of_critic = model.draw(wanted_of(critic), refine)
    assert model.discriminator is not None

    def judged(source: Tensor, target: Tensor, drawn: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return judge(cast(nn.Module, model.discriminator), model.adversarial, source, target, *drawn)

    fooled = generator_loss(model.adversarial, judged(own, frames_of(mine["video"]), (coarse, fake)))
    told = discriminator_loss(model.adversarial, judged(other, frames_of(critic["video"]), of_critic))
    expected = {"generator": [fooled, model.lambda_l1 * difference], "discriminator": [told]}
    torch.testing.assert_close(turns, expected)


def test_all_learn_at_the_rate_asked_for() -> None:
    groups = [group for optimizer in tiny(lr=3e-5).configure_optimizers() for group in optimizer.param_groups]
    assert [(g["lr"], g["betas"], g["eps"]) for g in groups] == [(3e-5, (0.5, 0.999), 1e-8)] * 3


def test_generators_are_groups_with_steps_of_their_own() -> None:
    """TensorFlow's Adam counts for each of them: G2's first step is not G1's thousandth."""
    model = tiny()
    generators, discriminator = model.configure_optimizers()
    assert [len(g["params"]) for g in generators.param_groups] == [
        len(list(part.parameters())) for part in (model.generator.coarse, model.generator.difference) if part
    ]
    assert len(discriminator.param_groups) == 1
