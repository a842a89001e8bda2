import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from datamodules.errors import BenchError
from lightning_modules.callbacks.evaluate import Evaluate
from lightning_modules.callbacks.preempt import preempt_of


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, fsyncs, renames. Lightning's own way through $TMPDIR is a copy across file systems."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Whole or not at all.

        Raises:
            BenchError: the disk refused; the checkpoint that was there before is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
            beside.unlink(missing_ok=True)
            raise BenchError(
                f"{path}: the checkpoint could not be written ({error}); the one before it is untouched. "
                "Free some space and start the same command again: the run goes on from there."
            ) from error


class Checkpoint(LightningCheckpoint):
    """`last.ckpt`, and `best.ckpt` by one metric. Lightning calls this callback after all others.

    A checkpoint is saved as `next.ckpt` at the end of a step and renamed when the next step starts: it counts only
    once its step is logged, so a kill in between costs no row and repeats none.

    Args:
        every: steps between checkpoints; the last step, and a preempted one, are saved too.
        best: metric of `evaluate.metrics` whose best value on the validation split is kept as best.ckpt.
    """

    def __init__(self, every: int = 500, best: str | None = None) -> None:
        if every < 1:
            raise BenchError(f"checkpoint.every must be at least 1 step, found {every}")
        self.every, self.best = every, best
        self.best_value: float | None = None
        self._pending: list[str] = []

    @property
    def state_key(self) -> str:
        """Fixed: changing `every` must not lose the state."""
        return "Checkpoint"

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Finds the folder, and the evaluation that `best` reads.

        Raises:
            BenchError: `best` names no metric, or one without a direction.
        """
        self.folder = Path(trainer.default_root_dir) / "checkpoints"
        self._evaluate = next((c for c in trainer.callbacks if isinstance(c, Evaluate)), None)  # type: ignore[attr-defined]
        if stage == "fit" and self.best is not None:
            metrics = self._evaluate.columns if self._evaluate else {}
            if self.best not in metrics:
                raise BenchError(f"checkpoint.best: no metric '{self.best}' in evaluate.metrics ({', '.join(metrics)})")
            if metrics[self.best].higher_is_better is None:
                raise BenchError(f"checkpoint.best: '{self.best}' has no direction, so none is best")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Removes what a killed process left half written or unpublished."""
        if trainer.is_global_zero:
            for torn in [*self.folder.glob(".*.ckpt.*"), *self.folder.glob("next-*.ckpt")]:
                torn.unlink()

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores it."""
        self.best_value = state_dict["best_value"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves what is due; publishing waits for the next step."""
        stopper = preempt_of(trainer)
        stop = stopper is not None and stopper.stop
        due = trainer.global_step >= trainer.max_steps or trainer.global_step % self.every == 0
        if self._improved(trainer):
            self._save(trainer, "best")
        if stop or due:
            self._save(trainer, "last")
        if stop:
            trainer.should_stop = True
            trainer.limit_val_batches = 0  # should_stop would start a whole validation first

    def _improved(self, trainer: L.Trainer) -> bool:
        if self.best is None or self._evaluate is None or self._evaluate.evaluated != trainer.global_step:
            return False
        value = self._evaluate.latest.get(self.best)
        if value is None:
            return False
        up = self._evaluate.columns[self.best].higher_is_better
        if self.best_value is not None and (value <= self.best_value if up else value >= self.best_value):
            return False
        self.best_value = value
        return True

    def _save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / f"next-{name}.ckpt")
        self._pending.append(name)

    def publish(self, trainer: L.Trainer) -> None:
        """Renames what was saved in the step before."""
        if trainer.is_global_zero:
            for name in self._pending:
                (self.folder / f"next-{name}.ckpt").replace(self.folder / f"{name}.ckpt")
        self._pending.clear()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The step before is logged."""
        self.publish(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last step is logged."""
        self.publish(trainer)
