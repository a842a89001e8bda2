"""One of two gloo ranks that trains every method for two steps and writes what it ended with.

A method is a config's name, with overrides behind it.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lightning_modules.callbacks.evaluate import Evaluate
from tests.helpers.built import build_only


class Watch(L.Callback):
    """The noise that this rank is about to draw, taken from a copy of the generator."""

    def __init__(self) -> None:
        self.noise: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        copy = torch.Generator()
        copy.set_state(torch.get_rng_state())
        self.noise.append(float(torch.randn((), generator=copy)))


def digest(tensors: Any) -> str:
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()


def main(out: Path, configs: list[str]) -> None:
    rank, found = 0, {}
    for config in configs:
        name, *words = config.split()
        cli = build_only(
            name,
            out / "runs",
            "--config",
            "trainer/ddp_cpu",
            "--config",
            "protocol/quick",
            "--trainer.max_steps",
            "2",
            *words,
        )
        watch = Watch()
        cli.trainer.callbacks.append(watch)
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
        rank = cli.trainer.global_rank
        evaluate = next(c for c in cli.trainer.callbacks if isinstance(c, Evaluate))
        done = evaluate.run(cli.trainer, cli.model, "val")
        assert done is not None
        found[config] = {
            "steps": cli.trainer.global_step,
            "weights": digest(cli.model.parameters()),
            "buffers": digest(cli.model.buffers()),
            "noise": watch.noise,
            "values": {name: result.value for name, result in done[1].items()},
        }
    (out / f"rank{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
