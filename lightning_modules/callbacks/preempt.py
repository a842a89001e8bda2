import os
import shutil
import subprocess
import sys
from typing import Any

import lightning as L

import lightning_modules.preempt as preempt
from datamodules.errors import BenchError


class Preempt(L.Callback):
    """Stops a run that was asked to stop, at a step's end and on all ranks alike.

    The signal only sets a flag (`lightning_modules.preempt`); saving inside the handler, as Lightning's own requeue
    does, can leave one rank in a checkpoint's barrier and another in a gradient's all-reduce.

    Args:
        every: steps between agreements of several ranks, since each costs an all-reduce; one rank looks at every step.
    """

    def __init__(self, every: int = 8) -> None:
        if every < 1:
            raise BenchError(f"preempt.every must be at least 1 step, found {every}")
        self.every = every
        self.stop = False

    def check(self, trainer: L.Trainer) -> bool:
        """Whether any rank was asked to stop; collective, and once true it stays so."""
        if not self.stop:
            asked = preempt.requested()
            self.stop = asked if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(asked, all=False)
        return self.stop

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning has put its own SIGTERM handler in front by now."""
        preempt.reclaim()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before `Checkpoint`, which then saves and stops."""
        if trainer.world_size == 1 or trainer.global_step % self.every == 0:
            self.check(trainer)


def preempt_of(trainer: L.Trainer) -> Preempt | None:
    """The run's callback."""
    return next((c for c in trainer.callbacks if isinstance(c, Preempt)), None)  # type: ignore[attr-defined]


def requeue() -> str | None:
    """Puts the SLURM job back into the queue; returns its name, or None outside SLURM.

    Called once everything is on disk, by rank 0.
    """
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("scontrol") is None:
        return None
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(f"reelbench: scontrol requeue {job} failed: {done.stderr.strip()}; submit the run again\n")
        return None
    return job
