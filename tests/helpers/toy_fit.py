"""The toy method trained in this process, without the command line."""

from pathlib import Path

import lightning as L
import torch
import yaml

from lightning_modules.callbacks.ema import GeneratorEMA
from tests.helpers.reelbench_toys import ToyData, ToyGAN


class OtherToy(ToyGAN):
    """The same networks under another name."""


def fit_toy(
    folder: Path, callbacks: list[L.Callback], steps: int, method: ToyGAN, resume: Path | None = None
) -> L.Trainer:
    """Trains in `folder` as a run does: on the CPU, without loggers or checkpoints of Lightning's own."""
    torch.manual_seed(0)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
    )
    trainer.fit(method, datamodule=ToyData(), ckpt_path=resume, weights_only=True)
    return trainer


def toy_run(folder: Path, decay: float, method: ToyGAN) -> L.Trainer:
    """A run folder as `reelbench fit` leaves it, as far as an export reads it: checkpoint and config."""
    trainer = fit_toy(folder, [GeneratorEMA(decay)], 3, method)
    trainer.save_checkpoint(folder / "checkpoints" / "last.ckpt")
    toys = "tests.helpers.reelbench_toys"
    config = {
        "seed_everything": 3,
        "model": {"class_path": f"{toys}.ToyGAN", "init_args": {"size": 8, "frames": 4, "z": 8, "lr": 0.001}},
        "data": {"class_path": f"{toys}.ToyData", "init_args": {"size": 8, "frames": 4, "root": "/somewhere"}},
        "ema": {"decay": decay},
        "trainer": {"max_steps": 3, "precision": None, "deterministic": None, "devices": 1},
        "runs": "/somewhere/runs",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return trainer
