import hashlib
from typing import Any

import lightning as L
import torch

from datamodules.base import training_seed
from datamodules.batch import main_stream


class RankRng(L.Callback):
    """Training noise is a function of (seed, step, rank): nothing to save, nothing to gather, right after any resume.

    Ranks draw different noise, and evaluation in between cannot disturb training. Seeds torch only.
    """

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Checks that the loader is at the trainer's step, then seeds.

        Raises:
            RuntimeError: the stream gave another step than the trainer is at: a resumed run would read wrong clips.
        """
        step = trainer.fit_loop.total_batch_idx
        given = main_stream(batch).get("step", step)
        if given != step:
            raise RuntimeError(f"the training stream gave step {given} while the trainer is at step {step}")
        digest = hashlib.blake2b(f"{training_seed()} {step} {trainer.global_rank}".encode(), digest_size=7).digest()
        torch.manual_seed(int.from_bytes(digest, "big"))
