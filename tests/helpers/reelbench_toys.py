"""A tiny adversarial method and data set: BatchNorm, dropout, two critic steps; small enough to be killed often."""

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method


class ToyStore:
    def __init__(self, videos: int, length: int, size: int, seed: int) -> None:
        self.frames = np.random.default_rng(seed).integers(0, 256, (videos, length, size, size, 3), dtype=np.uint8)
        self.lengths = np.full(videos, length)
        self.names = [f"toy{i}" for i in range(videos)]
        self.attributes: Mapping[str, np.ndarray] = {"category": np.arange(videos) % 3}
        self.digest = hashlib.sha256(self.frames.tobytes()).hexdigest()[:12]

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return self.frames[videos[:, None], frames]


class ToyData(ClipData):
    name = "toy"

    def __init__(
        self,
        size: int = 8,
        frames: int = 4,
        stride: int = 1,
        batch_size: int = 4,
        context: int = 0,
        num_workers: int = 0,
        videos: int = 10,
        root: str = "",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        self.videos = videos

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        return super().gives(**init_args) | {"attributes"}

    def open_store(self, split: str) -> ToyStore:
        return ToyStore(self.videos, 6, self.height, {"train": 0, "val": 1, "test": 2}[split])


class ToyGenerator(nn.Module):
    def __init__(self, z: int, frames: int, size: int) -> None:
        super().__init__()
        self.shape = (3, frames, size, size)
        self.net = nn.Sequential(
            nn.Linear(z, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3 * frames * size * size), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).view(len(z), *self.shape)


class Bomb:
    """Kills the process when it is pickled: in the middle of a checkpoint's bytes."""

    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class ToyGAN(Method):
    """Args: `z`, size of the code; `lr` of both players."""

    def __init__(self, frames: int = 4, size: int = 8, z: int = 8, lr: float = 1e-3, critic_steps: int = 2) -> None:
        super().__init__()
        self.z, self.lr, self.critic_steps = z, lr, critic_steps
        self.generator = ToyGenerator(z, frames, size)
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * frames * size * size, 8), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.players = Players(self, ["critic", "generator"], main="generator")

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(m.parameters(), self.lr) for m in (self.critic, self.generator)]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        time.sleep(float(os.environ.get("TOY_DELAY", "0")))
        real = batch["video"]
        for _ in range(self.critic_steps):
            with self.players.turn("critic") as losses:
                fake = self.generator(torch.randn(len(real), self.z, device=self.device)).detach()
                losses += [softplus(-self.critic(real)).mean(), softplus(self.critic(fake)).mean()]
        with self.players.turn("generator") as losses:
            fake = self.generator(torch.randn(len(real), self.z, device=self.device))
            losses.append(softplus(-self.critic(fake)).mean())
            loss = losses[0]
            if os.environ.get("TOY_NAN") == str(self.trainer.global_step):
                losses[0] = loss = loss * float("nan")
        self.log("train/generator", loss.detach())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if os.environ.get("TOY_BOMB") == str(self.trainer.global_step):
            checkpoint["bomb"] = Bomb()

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        return self.generator(noise.normal(self.z).to(self.device)).float()


class PoseToy(ToyGAN):
    """Needs what no toy data give."""

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        return frozenset({"video", "source_pose"})
