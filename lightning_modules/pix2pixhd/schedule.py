"""Learning rate and trained part as functions of the step: a run goes on in any stage, and none has a past."""

from typing import NamedTuple

from torch.optim import Optimizer


class Decay(NamedTuple):
    """A constant learning rate, then a straight line to 0.

    Attributes:
        lr: at the start.
        constant: steps at `lr`.
        falling: steps from `lr` to 0; 0 for a constant rate.
        every: steps between changes; the official code changes it once an epoch.
    """

    lr: float
    constant: int
    falling: int
    every: int = 1

    def at(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        if not self.falling:
            return self.lr
        gone = step // self.every * self.every - self.constant
        return self.lr * min(1.0, max(0.0, 1 - gone / self.falling))


def set_rate(optimizers: list[Optimizer], lr: float) -> None:
    """Every group of every optimizer takes `lr`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr
