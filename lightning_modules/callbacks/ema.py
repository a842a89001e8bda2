import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from datamodules.base import ClipData
from datamodules.batch import to_float
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import to_device

STANDING_CLIPS, STANDING_BATCH = 256, 32


class GeneratorEMA(L.Callback):
    """Exponential moving average of the generator's parameters; buffers are copied, BatchNorm statistics measured.

    The trained generator's running statistics are those of other weights. So before averaged weights are sampled or
    saved, their statistics are measured over 256 clips that they generate themselves (standing statistics: Brock et
    al., BigGAN, ICLR 2019, section 4.1; `update_bn` of stochastic weight averaging). These depend on the averaged
    weights alone, not on when they are asked for.

    Args:
        decay: of the average a step; 0 switches it off.
    """

    def __init__(self, decay: float = 0.0) -> None:
        if not 0 <= decay < 1:
            raise BenchError(f"ema.decay must lie in [0, 1), found {decay}")
        self.decay = decay
        self.shadow: nn.Module | None = None
        self._seen = self._settled = 0

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

    def settle(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Measures the averaged generator's BatchNorm statistics, unless that was done since its last update."""
        if self.shadow is None or self._settled == self._seen:
            return
        layers = [layer for layer in self.shadow.modules() if isinstance(layer, _BatchNorm)]
        if layers:
            assert isinstance(module, Method)
            live, momenta = module.generator, [layer.momentum for layer in layers]
            module.generator = self.shadow
            try:
                with eval_mode(module), full_precision():
                    for layer in layers:
                        layer.reset_running_stats()
                        layer.momentum = None  # a plain mean over all batches
                        layer.train()
                    _generate(module, trainer.datamodule)  # type: ignore[attr-defined]
            finally:
                module.generator = live
                for layer, momentum in zip(layers, momenta, strict=True):
                    layer.momentum = momentum
        self._settled = self._seen

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """What is saved is what would be sampled; Lightning asked for the state before."""
        self.settle(trainer, pl_module)
        checkpoint["callbacks"][self.state_key] = self.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Shadow weights and the step they were taken at."""
        return {"shadow": self.shadow.state_dict(), "seen": self._seen} if self.shadow is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        if self.shadow is not None and state_dict:
            self.shadow.load_state_dict(state_dict["shadow"])
            self._seen = self._settled = state_dict["seen"]


def _generate(method: Method, data: ClipData) -> None:
    """Samples clips and forgets them."""
    for start in range(0, STANDING_CLIPS, STANDING_BATCH):
        numbers = range(start, start + STANDING_BATCH)
        batch = to_float(to_device(data.eval_batch("train", numbers, data.frames, data.stride, seed=0), method.device))
        method.sample(batch, ClipNoise(0, batch["index"].cpu()))


def _ema_of(trainer: L.Trainer) -> GeneratorEMA | None:
    return next((c for c in trainer.callbacks if isinstance(c, GeneratorEMA)), None)  # type: ignore[attr-defined]


def shadow_of(trainer: L.Trainer) -> nn.Module | None:
    """The averaged generator, where the run keeps one."""
    ema = _ema_of(trainer)
    return ema.shadow if ema is not None else None


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
def full_precision() -> Iterator[None]:
    """No gradients, float32 without TF32.

    Precision plugins are left out on purpose: numbers must not depend on the precision that a run was trained with.
    """
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        yield


@contextmanager
def sampling_weights(trainer: L.Trainer, module: L.LightningModule) -> Iterator[None]:
    """The module as it is sampled: averaged generator where there is one, eval mode, full precision."""
    ema = _ema_of(trainer)
    if ema is not None:
        ema.settle(trainer, module)
    live, shadow = module.generator, shadow_of(trainer)
    with eval_mode(module), full_precision():
        if shadow is not None:
            module.generator = shadow
        try:
            yield
        finally:
            module.generator = live
