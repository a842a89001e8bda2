import os
import platform
import time
from pathlib import Path
from typing import Any

import lightning as L

from datamodules.errors import BenchError
from datamodules.jsonfile import now, read_json, write_json
from lightning_modules.callbacks.log import MetricsLog
from lightning_modules.callbacks.preempt import preempt_of


class RunRecord(L.Callback):
    """Keeps status.json: state, step, host, heartbeat, reason. First in the list of callbacks.

    Args:
        beat: seconds between heartbeats.
    """

    def __init__(self, beat: float = 15.0) -> None:
        self.beat = beat
        self._last = 0.0
        self._started = time.monotonic()
        self._before = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Training seconds of earlier starts count on."""
        self.path = Path(trainer.default_root_dir) / "status.json"
        if stage == "fit":
            self._before = float(read_json(self.path).get("seconds", 0.0))
            self._started = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Cuts the log back to the restored step; before any callback logs."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsLog):
                logger.rewind(trainer.global_step)
        self.write(trainer, "running")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Heartbeat."""
        if time.monotonic() - self._last > self.beat:
            self.write(trainer, "running")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Finished, or asked to stop before."""
        stopper = preempt_of(trainer)
        if trainer.global_step >= trainer.max_steps:
            self.write(trainer, "finished")
        elif stopper is not None and stopper.stop:
            self.write(trainer, "preempted", "asked to stop by a signal")
        else:
            self.write(trainer, "stopped", "a limit such as max_time ended the run before max_steps")

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Says why."""
        text = str(exception) if isinstance(exception, BenchError) else f"{type(exception).__name__}: {exception}"
        self.write(trainer, "failed", text)

    def write(self, trainer: L.Trainer, state: str, reason: str | None = None) -> None:
        """status.json, by rank 0. A full disk costs a heartbeat, not the run."""
        self._last = time.monotonic()
        if not trainer.is_global_zero:
            return
        status = read_json(self.path) | {
            "state": state,
            "step": trainer.global_step,
            "max_steps": trainer.max_steps,
            "host": platform.node(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "heartbeat": now(),
            "reason": reason,
            "seconds": round(self._before + time.monotonic() - self._started, 1),
        }
        status.setdefault("started", now())
        try:
            write_json(self.path, status)
        except BenchError as error:
            if state == "finished":
                raise
            trainer.print(f"reelbench: {error}")
