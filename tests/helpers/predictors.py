"""A tiny stochastic predictor: enough to train a few steps, draw samples that differ, and say how unsure it is."""

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from lightning_modules.contract import ClipNoise, Method


class TinyPredictor(Method):
    """The next frame from the last one and a plane of noise."""

    def __init__(self, size: int = 16, frames: int = 8, channels: int = 1, noise: float = 1.0) -> None:
        super().__init__()
        self.side, self.noise = size, noise
        self.size, self.frames, self.channels = size, frames, channels
        self.generator = nn.Sequential(
            nn.Conv2d(channels + 1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, channels, 3, padding=1), nn.Tanh()
        )

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        return frozenset({"video", "context"})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-2)

    def step(self, last: Tensor, plane: Tensor) -> Tensor:
        """B C H W and B H W -> B C H W."""
        return self.generator(torch.cat([last, self.noise * plane[:, None]], dim=1))

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        video = batch["video"]
        last = video[:, :, :-1].transpose(1, 2).flatten(0, 1)
        wanted = video[:, :, 1:].transpose(1, 2).flatten(0, 1)
        loss = (self.step(last, torch.randn_like(last[:, 0])) - wanted).square().mean()
        self.log("train/loss", loss.detach())
        return loss

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        context = batch["context"]
        planes = noise.normal(self.frames, self.side, self.side, device=self.device)
        frames = list(context.unbind(2))
        for t in range(len(frames), self.frames):
            frames.append(self.step(frames[-1], planes[:, t]))
        return torch.stack(frames, dim=2).float()

    def uncertainty(self, batch: VideoBatch) -> Tensor:
        """How much the two frames before differ; the first two frames have no number."""
        video = batch["video"]
        change = (video[:, :, 1:] - video[:, :, :-1]).abs().mean(dim=(1, 3, 4))  # B T-1
        none = torch.full((len(video), 2), torch.nan, device=video.device)
        return torch.cat([none, change[:, :-1]], dim=1)


class Oracle(TinyPredictor):
    """Twice as unsure as elsewhere at a bounce, and thrice in the frame after."""

    def uncertainty(self, batch: VideoBatch) -> Tensor:
        met = (batch["bounces"] > 0).float()
        after = nn.functional.pad(met, (1, 0))[:, :-1] * (1 - met)
        unsure = 1 + met + 2 * after
        unsure[:, 0] = torch.nan
        return unsure
