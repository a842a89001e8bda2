from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules.adversarial import Players

TrainerFactory = Callable[..., L.Trainer]


class Toy(L.LightningModule):
    """A generator G and a critic C, each one linear layer; `script` is what a training step does."""

    def __init__(self, script: Callable[["Toy", Tensor], None], clip: float | None = None, lr: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator, self.critic = nn.Linear(2, 3), nn.Linear(3, 1)
        self.script, self.clip, self.lr = script, clip, lr
        self.players = Players(self, ["critic", "generator"], main="generator")
        self.steps = {"critic": 0, "generator": 0}
        self.logged_at: list[int] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers: list[torch.optim.Optimizer] = []
        for name in self.steps:
            optimizer = torch.optim.SGD(getattr(self, name).parameters(), lr=self.lr)
            optimizer.register_step_post_hook(lambda *_, name=name: self._count(name))
            optimizers.append(optimizer)
        return optimizers

    def _count(self, name: str) -> None:
        self.steps[name] += 1

    def critic_loss(self, x: Tensor) -> Tensor:
        return (self.critic(self.generator(x)) ** 2).mean()

    def generator_loss(self, x: Tensor) -> Tensor:
        return (self.critic(self.generator(x)) - 1).abs().mean()

    def turn(self, name: str, x: Tensor) -> None:
        with self.players.turn(name, clip=self.clip) as losses:
            losses.append(getattr(self, f"{name}_loss")(x))

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        self.script(self, batch)
        self.logged_at.append(self.trainer.global_step)


def two_critic_steps(toy: Toy, x: Tensor) -> None:
    toy.turn("critic", x)
    toy.turn("critic", x)
    toy.turn("generator", x)


def loader() -> DataLoader[Any]:
    items: Any = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    return DataLoader(items, batch_size=2)


def test_only_the_main_player_counts_steps(trainer: TrainerFactory) -> None:
    toy = Toy(two_critic_steps)
    run = trainer(max_steps=4)
    run.fit(toy, loader())
    assert run.global_step == 4
    assert run.fit_loop.total_batch_idx == 3
    assert toy.steps == {"critic": 8, "generator": 4}
    assert toy.logged_at == [1, 2, 3, 4]


def test_updates_equal_a_loop_written_by_hand(trainer: TrainerFactory) -> None:
    toy, by_hand = Toy(two_critic_steps), Toy(two_critic_steps)
    trainer(max_steps=3).fit(toy, loader())
    optimizers = by_hand.configure_optimizers()
    for x in list(loader())[:3]:
        for name, optimizer in zip(["critic", "critic", "generator"], [optimizers[0], *optimizers], strict=True):
            by_hand.zero_grad()
            getattr(by_hand, f"{name}_loss")(x).backward()
            optimizer.step()
    for ours, expected in zip(toy.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, expected)


def test_losses_of_a_turn_are_summed(trainer: TrainerFactory) -> None:
    def thrice(toy: Toy, x: Tensor) -> None:
        with toy.players.turn("generator") as losses:
            losses += [toy.generator_loss(x), 2 * toy.generator_loss(x)]

    def once(toy: Toy, x: Tensor) -> None:
        with toy.players.turn("generator") as losses:
            losses.append(3 * toy.generator_loss(x))

    ours, expected = Toy(thrice), Toy(once)
    for toy in (ours, expected):
        trainer(max_steps=1).fit(toy, loader())
    torch.testing.assert_close(ours.generator.weight, expected.generator.weight)


def test_only_the_player_takes_gradients(trainer: TrainerFactory) -> None:
    seen: dict[str, list[bool]] = {}

    def look(toy: Toy, x: Tensor) -> None:
        for name in ("critic", "generator"):
            with toy.players.turn(name) as losses:
                seen[name] = [p.requires_grad for p in (toy.critic.weight, toy.generator.weight)]
                losses.append(toy.generator_loss(x))

    toy = Toy(look)
    trainer(max_steps=1).fit(toy, loader())
    assert seen == {"critic": [True, False], "generator": [False, True]}
    assert all(p.requires_grad for p in toy.parameters())


def test_gradients_are_clipped_by_norm(trainer: TrainerFactory) -> None:
    norms = []
    for clip in (None, 1e-3):
        toy = Toy(lambda toy, x: toy.turn("generator", x), clip=clip, lr=1.0)
        before = torch.nn.utils.parameters_to_vector(toy.generator.parameters()).detach().clone()
        trainer(max_steps=1).fit(toy, loader())
        norms.append((torch.nn.utils.parameters_to_vector(toy.generator.parameters()) - before).norm().item())
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(1e-3, rel=1e-2)


def test_an_error_in_the_block_leaves_everything_as_it_was(trainer: TrainerFactory) -> None:
    def fail(toy: Toy, x: Tensor) -> None:
        with pytest.raises(KeyError), toy.players.turn("critic") as losses:
            losses.append(toy.critic_loss(x))
            raise KeyError
        assert all(p.requires_grad for p in toy.parameters())
        assert toy.steps == {"critic": 0, "generator": 0}
        toy.turn("generator", x)

    toy, before = Toy(fail), Toy(fail)
    run = trainer(max_steps=1)
    run.fit(toy, loader())
    assert run.global_step == 1
    assert torch.equal(toy.critic.weight, before.critic.weight)


def test_a_turn_without_a_loss_is_an_error(trainer: TrainerFactory) -> None:
    def empty(toy: Toy, x: Tensor) -> None:
        with toy.players.turn("critic"):
            pass

    toy = Toy(empty)
    with pytest.raises(RuntimeError, match="player 'critic' ended without a loss"):
        trainer(max_steps=1).fit(toy, loader())
    assert all(p.requires_grad for p in toy.parameters())


def test_a_loss_that_is_not_a_scalar_is_an_error(trainer: TrainerFactory) -> None:
    def unreduced(toy: Toy, x: Tensor) -> None:
        with toy.players.turn("generator") as losses:
            losses.append(toy.critic(toy.generator(x)))

    with pytest.raises(RuntimeError, match="scalar"):
        trainer(max_steps=1).fit(Toy(unreduced), loader())


def test_a_second_main_turn_in_one_step_is_an_error(trainer: TrainerFactory) -> None:
    def twice(toy: Toy, x: Tensor) -> None:
        toy.turn("generator", x)
        toy.turn("generator", x)

    toy = Toy(twice)
    with pytest.raises(RuntimeError, match="'generator' has had its turn already"):
        trainer(max_steps=2).fit(toy, loader())
    assert toy.steps["generator"] == 1


@pytest.mark.parametrize("first", ["critic", "generator"])
def test_a_step_without_the_main_turn_is_an_error(trainer: TrainerFactory, first: str) -> None:
    def left_out_once(toy: Toy, x: Tensor) -> None:
        toy.turn(first if toy.trainer.fit_loop.total_batch_idx else "critic", x)

    with pytest.raises(RuntimeError, match="left out its turn"):
        trainer(max_steps=2).fit(Toy(left_out_once), loader())


def test_counts_go_on_after_a_resume(trainer: TrainerFactory, tmp_path: Path) -> None:
    first = trainer(max_steps=2)
    first.fit(Toy(two_critic_steps), loader())
    first.save_checkpoint(tmp_path / "at2.ckpt")
    resumed = Toy(two_critic_steps)
    trainer(max_steps=5).fit(resumed, loader(), ckpt_path=str(tmp_path / "at2.ckpt"), weights_only=False)
    assert resumed.logged_at == [3, 4, 5]


def test_works_in_bf16_mixed(trainer: TrainerFactory) -> None:
    toy = Toy(two_critic_steps, clip=1.0)
    run = trainer(max_steps=2, precision="bf16-mixed")
    run.fit(toy, loader())
    assert run.global_step == 2
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in toy.parameters())


def test_a_second_turn_sees_the_first_one_s_update_in_bf16_mixed(trainer: TrainerFactory) -> None:
    seen: list[float] = []

    def repeat(toy: Toy, x: Tensor) -> None:
        for _ in range(2):
            with toy.players.turn("critic") as losses:
                losses.append(toy.critic_loss(x))
                seen.append(losses[0].item())
        toy.turn("generator", x)

    trainer(max_steps=1, precision="bf16-mixed").fit(Toy(repeat), loader())
    assert seen[1] < 0.9 * seen[0]


def test_one_player_alone(trainer: TrainerFactory) -> None:
    class Alone(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)
            self.players = Players(self, ["layer"], main="layer")

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.layer.parameters(), lr=0.1)

        def training_step(self, batch: Tensor, batch_idx: int) -> None:
            with self.players.turn("layer") as losses:
                losses.append(self.layer(batch).mean())

    run = trainer(max_steps=2)
    run.fit(Alone(), loader())
    assert run.global_step == 2


def test_names_must_fit() -> None:
    with pytest.raises(ValueError, match="main player 'judge'"):
        Players(L.LightningModule(), ["generator"], main="judge")


def test_a_missing_optimizer_is_an_error(trainer: TrainerFactory) -> None:
    toy = Toy(two_critic_steps)
    toy.players.names.append("judge")
    with pytest.raises(RuntimeError, match="configure_optimizers returned 2"):
        trainer(max_steps=1).fit(toy, loader())
