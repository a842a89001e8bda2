from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.vgan.networks import (
    Discriminator,
    Layers,
    OneStreamGenerator,
    TwoStreamGenerator,
    bottom_frames,
    init_weights,
    widths,
)

REAL, FAKE = 0, 1  # classes of the discriminator's softmax


def judged(logits: Tensor, truth: int) -> Tensor:
    """Cross entropy of B 2 logits with one class for all clips, mean over clips."""
    logits = logits.float()
    return F.cross_entropy(logits, torch.full((len(logits),), truth, device=logits.device))


class VGAN(Method):
    """VGAN (Vondrick, Pirsiavash, Torralba, NIPS 2016, arXiv 1609.02612) as the official code trains it.

    Each step updates the discriminator, then the generator on the same fakes. The official generator step sends its
    gradient through activations that the discriminator computed before its own update; here they are computed again
    after it, since PyTorch has no backward pass through activations of older weights.

    Args:
        size: height and width of the frames, 64 (official), or another power of two from 8.
        channels: C of the frames.
        frames: T of the clips: half of the size (official: 32), or a quarter.
        dim_z: length of the code z.
        ngf: channels of the generator's last hidden level.
        ndf: channels of the discriminator's first level.
        streams: `two`, a moving foreground before a static background, or `one`, the paper's baseline.
        lambda_mask: weight of the mean of the mask, which keeps the foreground small; two streams only.
        lr: of both Adam optimizers.
        betas: of Adam.
    """

    generator: TwoStreamGenerator | OneStreamGenerator
    size: int

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 32,
        dim_z: int = 100,
        ngf: int = 64,
        ndf: int = 64,
        streams: Literal["two", "one"] = "two",
        lambda_mask: float = 0.1,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        if dim_z < 1 or ngf < 1 or ndf < 1:
            raise BenchError(f"model.init_args: dim_z, ngf and ndf must be at least 1, found {dim_z}, {ngf}, {ndf}")
        self.size, self.channels, self.frames = size, channels, frames
        self.lambda_mask, self.lr, self.betas = lambda_mask, lr, betas
        bottom = bottom_frames(frames, size)
        network = TwoStreamGenerator if streams == "two" else OneStreamGenerator
        self.generator = network(dim_z, widths(ngf, size), channels, bottom)
        self.discriminator = Discriminator(channels, widths(ndf, size)[::-1], bottom)
        init_weights(self)
        self.players = Players(self, ["discriminator", "generator"], main="generator")

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`."""
        return [
            torch.optim.Adam(network.parameters(), self.lr, self.betas)
            for network in (self.discriminator, self.generator)
        ]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player, in the official order."""
        clips = batch["video"]  # B C T H W
        layers = self.generator(torch.randn(len(clips), self.generator.dim_z, device=self.device))
        with self.players.turn("discriminator") as losses:
            of_discriminator = self.discriminator_losses(clips, layers.video.detach())
            losses += of_discriminator.values()
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(layers)
            losses += of_generator.values()
        self.log_dict({f"train/{name}": loss.detach() for name, loss in {**of_discriminator, **of_generator}.items()})

    def discriminator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What D minimises, by name: both cross entropies, not halved; real and fake pass through D apart.

        Args:
            real, fake: B C T H W.
        """
        return {
            "discriminator_real": judged(self.discriminator(real), REAL),
            "discriminator_fake": judged(self.discriminator(fake), FAKE),
        }

    def generator_losses(self, layers: Layers) -> dict[str, Tensor]:
        """What G minimises, by name: the fakes taken for real, and `lambda_mask` times the mean of the mask."""
        losses = {"generator": judged(self.discriminator(layers.video), REAL)}
        if layers.mask is not None and self.lambda_mask:
            losses["mask"] = self.lambda_mask * layers.mask.float().mean()
        return losses

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of `self.frames` frames, whatever the batch holds; everything random comes from `noise`."""
        layers: Layers = self.generator(noise.normal(self.generator.dim_z).to(self.device))
        return layers.video.float()

    @torch.no_grad()
    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        """Clips with the background of one code and the foreground of another; two streams only."""
        g = self.generator
        if not isinstance(g, TwoStreamGenerator):
            return super().swap(content, motion)
        still, moving = (noise.normal(g.dim_z).to(self.device) for noise in (content, motion))
        return g.layers(still, moving).video.float()

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips alone."""
        return frozenset({"video"})
