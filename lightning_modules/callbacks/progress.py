import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class StepProgress(ProgressBar):
    """A rich bar over the budget in steps: the stream is endless, so Lightning's own bar knows no total.

    Without a terminal it prints a line every tenth of the budget.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Progress | None = None
        self._console = Console(file=sys.stderr)

    def disable(self) -> None:
        """Lightning calls it on the ranks that show nothing."""
        self._enabled = False

    def enable(self) -> None:
        """The contrary."""
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts where the run was restored."""
        if not self._enabled or not self._console.is_terminal:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )
        self._bar = Progress(*columns, console=self._console, refresh_per_second=4)
        self._task = self._bar.add_task(
            type(pl_module).__name__, total=trainer.max_steps, completed=trainer.global_step, losses="", speed=""
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Losses are read only when they are logged anyway: reading them waits for the device."""
        step, total = trainer.global_step, trainer.max_steps
        if self._bar is not None:
            shown: dict[str, str] = {}
            if step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
                shown["losses"] = self._losses(trainer)
                speed = self._bar.tasks[self._task].speed
                shown["speed"] = f"{speed:.2f} it/s" if speed else ""
            self._bar.update(self._task, completed=step, **shown)  # type: ignore[arg-type]
        elif self._enabled and step % max(1, total // 10) == 0:
            self._console.print(f"{type(pl_module).__name__} step {step}/{total}  {self._losses(trainer)}")

    def _losses(self, trainer: L.Trainer) -> str:
        return "  ".join(
            f"{k.removeprefix('train/')} {float(v):.3f}"
            for k, v in trainer.callback_metrics.items()
            if k.startswith("train/")
        )

    def _close(self, *args: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leaves the terminal as it was."""
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leaves the terminal as it was."""
        self._close()
