import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.callbacks.ema import sampling_weights, shadow_of
from lightning_modules.callbacks.preempt import preempt_of
from lightning_modules.contract import Method
from lightning_modules.evaluation import run_protocol
from lightning_modules.strips import Strips, strips_folder
from metrics.base import MetricResult, VideoMetric
from metrics.frames import columns
from metrics.protocol import Protocol, ProtocolSettings
from metrics.suite import MetricSuite


class Evaluate(L.Callback):
    """Samples and scores while training and in `validate` and `test`, in a loop of its own.

    Lightning's validation loop loses an evaluation when a run is killed in it, and starts one more when a run is
    asked to stop. Here "already evaluated" is part of the checkpoint; what a signal broke off is made up on resume.

    Args:
        protocol: under what conditions.
        metrics: by column name.
        every: steps between evaluations while training; 0 for none.
        batch_size: clips sampled at a time on each process; moves no number.
    """

    def __init__(
        self,
        protocol: ProtocolSettings,
        metrics: dict[str, VideoMetric] | None = None,
        every: int = 0,
        batch_size: int = 32,
    ) -> None:
        for key, value, least in (("every", every, 0), ("batch_size", batch_size, 1)):
            if value < least:
                raise BenchError(f"evaluate.{key} must be at least {least}, found {value}")
        self.protocol, self.metrics, self.every, self.batch_size = protocol, metrics or {}, every, batch_size
        self.evaluated = 0
        self.latest: dict[str, float | None] = {}

    @property
    def columns(self) -> dict[str, VideoMetric]:
        """The metric behind each column of the results."""
        return columns(self.metrics, self.protocol.samples)

    @property
    def state_key(self) -> str:
        """Fixed: another protocol must not lose the state."""
        return "Evaluate"

    def state_dict(self) -> dict[str, Any]:
        """The step that was evaluated last."""
        return {"evaluated": self.evaluated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores it."""
        self.evaluated = state_dict["evaluated"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Makes up what a signal broke off."""
        self._if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before `Checkpoint`, which Lightning puts last."""
        self._if_due(trainer, pl_module)

    def _if_due(self, trainer: L.Trainer, method: L.LightningModule) -> None:
        step = trainer.global_step
        if not self.metrics or not self.every or step == 0 or step % self.every or step == self.evaluated:
            return
        done = self.run(trainer, method, "val")  # the test split is for `test` alone
        if done is None:
            return
        self.evaluated = step
        protocol, results, _ = done
        values = {protocol.key(name, r.fingerprint): r.value for name, r in results.items() if r.value is not None}
        self.latest = {name: r.value for name, r in results.items()}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step - 1)  # the row of the step that just ended

    def run(
        self, trainer: L.Trainer, method: L.LightningModule, split: str, strips: Path | None = None
    ) -> tuple[Protocol, dict[str, MetricResult], float] | None:
        """Protocol, results and seconds; None when a signal broke it off. Collective.

        Args:
            split: replaces the protocol's: while training and in `validate` it is val, in `test` test.
            strips: a run's folder, into which rank 0 writes pictures of a few predictions.
        """
        assert isinstance(method, Method)
        data: ClipData = trainer.datamodule  # type: ignore[attr-defined]
        stopper = preempt_of(trainer)
        started = time.monotonic()
        self._share_buffers(trainer, method)
        protocol = replace(self.protocol, split=split).resolve(data)
        suite = MetricSuite(self.metrics)
        kept = Strips(suite, protocol) if strips is not None and trainer.is_global_zero else None
        with sampling_weights(trainer, method), method.at_length(protocol.frames if method.any_length else None):
            results = run_protocol(
                method,
                data,
                protocol,
                suite,
                batch_size=self.batch_size,
                rank=trainer.global_rank,
                world=trainer.world_size,
                interrupted=lambda: stopper is not None and stopper.check(trainer),
                strips=kept,
            )
        if results is not None and strips is not None and kept is not None:
            kept.write(strips_folder(strips, protocol))
        return None if results is None else (protocol, results, time.monotonic() - started)

    def _share_buffers(self, trainer: L.Trainer, method: nn.Module) -> None:
        """Rank 0's BatchNorm statistics for all: under manual optimisation DDP syncs them once, then never."""
        if trainer.world_size == 1:
            return
        shadow = shadow_of(trainer)
        for buffer in [*method.buffers(), *(shadow.buffers() if shadow is not None else [])]:
            torch.distributed.broadcast(buffer, 0)
