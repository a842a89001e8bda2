import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import nn

from datamodules.errors import BenchError


class GeneratorEMA(L.Callback):
    """Exponential moving average of the generator's parameters; buffers (BatchNorm statistics) are copied.

    Args:
        decay: of the average a step; 0 switches it off.
    """

    def __init__(self, decay: float = 0.0) -> None:
        if not 0 <= decay < 1:
            raise BenchError(f"ema.decay must lie in [0, 1), found {decay}")
        self.decay = decay
        self.shadow: nn.Module | None = None
        self._seen = 0

    @property
    def state_key(self) -> str:
        """Fixed, so that export finds it whatever the decay."""
        return "GeneratorEMA"

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Before the checkpoint is restored into it."""
        if self.decay and self.shadow is None:
            generator: nn.Module = pl_module.generator  # type: ignore[assignment]
            self.shadow = copy.deepcopy(generator).requires_grad_(False).eval()

    def _to_device(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.shadow is not None:
            self.shadow.to(pl_module.device)

    on_fit_start = on_test_start = on_validation_start = _to_device

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One update a step in which the generator moved."""
        if self.shadow is None or trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        live: nn.Module = pl_module.generator  # type: ignore[assignment]
        torch._foreach_lerp_(list(self.shadow.parameters()), list(live.parameters()), 1 - self.decay)
        for mine, theirs in zip(self.shadow.buffers(), live.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """Shadow weights and the step they were taken at."""
        return {"shadow": self.shadow.state_dict(), "seen": self._seen} if self.shadow is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        if self.shadow is not None and state_dict:
            self.shadow.load_state_dict(state_dict["shadow"])
            self._seen = state_dict["seen"]


def shadow_of(trainer: L.Trainer) -> nn.Module | None:
    """The averaged generator, where the run keeps one."""
    found = [c.shadow for c in trainer.callbacks if isinstance(c, GeneratorEMA)]  # type: ignore[attr-defined]
    return found[0] if found else None


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """`eval()` inside, every submodule's own mode again afterwards."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, mode in modes.items():
            m.training = mode


@contextmanager
def sampling_weights(trainer: L.Trainer, module: L.LightningModule) -> Iterator[None]:
    """The module as it is sampled: averaged generator where there is one, eval mode, float32 without TF32.

    Precision plugins are left out on purpose: numbers must not depend on the precision that a run was trained with.
    """
    live, shadow = module.generator, shadow_of(trainer)
    with eval_mode(module), torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        if shadow is not None:
            module.generator = shadow
        try:
            yield
        finally:
            module.generator = live
