from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning as L
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor


def _nothing() -> None: ...


class Players:
    """The optimizers of an adversarial module by name, one of which counts the steps.

    Lightning's `global_step` counts every optimizer step; here only the main player's turn does, once in each
    `training_step`, so that budgets, logs and checkpoints mean the same for every method. The others may take as many
    turns as they like.

    Args:
        module: a module with `automatic_optimization = False`.
        names: of the players, in the order in which `configure_optimizers` returns their optimizers.
        main: the player that counts, usually the generator.
    """

    def __init__(self, module: L.LightningModule, names: Sequence[str], main: str) -> None:
        if main not in names:
            raise ValueError(f"main player {main!r} is not one of {list(names)}")
        module.automatic_optimization = False
        self.module, self.names, self.main = module, list(names), main

    @contextmanager
    def turn(self, name: str, clip: float | None = None) -> Iterator[list[Tensor]]:
        """Backward pass and optimizer step of one player: the block fills the list with scalar losses to be summed.

        Inside the block only this player's parameters take gradients. If the block raises, nothing is updated and
        all parameters are as before. A block may call `manual_backward` itself, for parts whose graph would otherwise
        have to be kept: their gradients are added to those of the listed losses.

        Args:
            name: whose turn it is.
            clip: largest norm of the gradient; None leaves it as it is.

        Raises:
            RuntimeError: the block gave no loss, the main player counts twice in one `training_step`, or a
                `training_step` passed without its turn.
        """
        optimizer = self._optimizer(name)
        self._check_count(name)
        if name != self.main:  # Lightning puts its counters back at the start of each training_step
            optimizer._on_before_step = optimizer._on_after_step = _nothing
        with self.module.toggled_optimizer(optimizer):
            losses: list[Tensor] = []
            optimizer.zero_grad()
            yield losses
            if not losses:
                raise RuntimeError(f"the turn of player {name!r} ended without a loss")
            self.module.manual_backward(sum(losses[1:], losses[0]))
            if clip is not None:
                self.module.clip_gradients(optimizer.optimizer, clip, "norm")
            optimizer.step()

    def _optimizer(self, name: str) -> LightningOptimizer:
        optimizers = self.module.optimizers()
        listed = optimizers if isinstance(optimizers, list) else [optimizers]
        if len(listed) != len(self.names):
            raise RuntimeError(f"players {self.names}, but configure_optimizers returned {len(listed)} optimizers")
        return listed[self.names.index(name)]

    def _check_count(self, name: str) -> None:
        """Until the main player's turn `global_step` equals the number of finished training steps."""
        done, counted = self.module.trainer.fit_loop.total_batch_idx, self.module.trainer.global_step
        if counted < done or (counted > done and name == self.main):
            problem = "has had its turn already" if counted > done else "left out its turn in an earlier step"
            raise RuntimeError(
                f"main player {self.main!r} {problem} (training_step {done}, global_step {counted}): "
                "it must take exactly one turn in each training_step; repeats belong to the other players"
            )
