from typing import Any

import lightning as L
import torch

from datamodules.batch import main_stream
from datamodules.errors import BenchError


class FiniteLoss(L.Callback):
    """Stops at the first non-finite logged loss and names the clips of that step.

    The verdict on a step is read when the next one starts, so that the device is never waited for, and still before
    the step's checkpoint is published: `last.ckpt` is always one from before.
    """

    def __init__(self) -> None:
        self._flag: torch.Tensor | None = None
        self._event: Any = None
        self._names: list[str] = []
        self._losses: dict[str, torch.Tensor] = {}
        self._step = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Starts copying whether all losses are finite."""
        self._losses = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("train/")}
        self._names, self._step = list(main_stream(batch).get("name", [])), trainer.global_step
        if not self._losses:
            return
        flag = torch.stack([v.detach().float() for v in self._losses.values()]).isfinite().all()
        if flag.device.type == "cuda":
            self._flag = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(flag, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._flag = flag

    def _verdict(self) -> None:
        if self._flag is None:
            return
        if self._event is not None:
            self._event.synchronize()
        if not bool(self._flag):
            bad = ", ".join(f"{k} = {float(v)}" for k, v in self._losses.items() if not torch.isfinite(v))
            raise BenchError(
                f"step {self._step}: non-finite loss ({bad}). Clips of this step: {', '.join(self._names)}. "
                "The checkpoint from before is kept; look at these clips, or lower the learning rate."
            )
        self._flag = self._event = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Verdict on the step before.

        Raises:
            BenchError: a logged loss was NaN or infinite.
        """
        self._verdict()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Verdict on the last step."""
        self._verdict()
