from typing import Any

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.vgan.module import FAKE, REAL, judged
from lightning_modules.vgan.networks import (
    ConditionalGenerator,
    Discriminator,
    Layers,
    bottom_frames,
    init_weights,
    widths,
)


class ConditionalVGAN(Method):
    """VGAN that shows the future of one frame (section 4.4), as the official `main_conditional.lua` trains it.

    It is deterministic. Unlike VGAN it has no penalty on the mask; instead its first frame must equal the given one.
    The paper draws a bottleneck between encoder and generator that the code, followed here, does not have.

    Args:
        size: height and width of the frames, 64 (official), or another power of two from 8.
        channels: C of the frames.
        frames: T of the clips with the given frame: half of the size (official: 32), or a quarter.
        ngf: channels of the encoder's first level and the generator's last.
        ndf: channels of the discriminator's first level.
        lambda_first: weight of the mean absolute difference between the first frame made and the given one.
        lr: of both Adam optimizers.
        betas: of Adam.
    """

    generator: ConditionalGenerator

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 32,
        ngf: int = 128,
        ndf: int = 128,
        lambda_first: float = 10.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        if ngf < 1 or ndf < 1:
            raise BenchError(f"model.init_args: ngf and ndf must be at least 1, found {ngf} and {ndf}")
        self.size, self.channels, self.frames = size, channels, frames
        self.lambda_first, self.lr, self.betas = lambda_first, lr, betas
        bottom, levels = bottom_frames(frames, size), widths(ngf, size)
        self.generator = ConditionalGenerator(levels[::-1], levels, channels, bottom)
        self.discriminator = Discriminator(channels, widths(ndf, size)[::-1], bottom)
        init_weights(self)
        self.players = Players(self, ["discriminator", "generator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips, and the frames that they begin with."""
        return frozenset({"video", "context"})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`."""
        return [
            torch.optim.Adam(network.parameters(), self.lr, self.betas)
            for network in (self.discriminator, self.generator)
        ]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player, in the official order; both see the same fakes."""
        clips = batch["video"]  # B C T H W
        first = clips[:, :, 0]
        layers = self.generator(first)
        with self.players.turn("discriminator") as losses:
            of_discriminator = {
                "discriminator_real": judged(self.discriminator(clips), REAL),
                "discriminator_fake": judged(self.discriminator(layers.video.detach()), FAKE),
            }
            losses += of_discriminator.values()
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(layers, first)
            losses += of_generator.values()
        self.log_dict({f"train/{name}": loss.detach() for name, loss in {**of_discriminator, **of_generator}.items()})

    def generator_losses(self, layers: Layers, first: Tensor) -> dict[str, Tensor]:
        """What G minimises, by name.

        Args:
            layers: of the generator.
            first: the given frame, B C H W.
        """
        return {
            "generator": judged(self.discriminator(layers.video), REAL),
            "first_frame": self.lambda_first * (layers.video[:, :, 0].float() - first.float()).abs().mean(),
        }

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips that begin with the last frame of `batch["context"]` B C K H W; the context's frames are copied in.

        The frame made for the time of the given one is replaced by it, so K - 1 + `frames` frames are known and the
        first `frames` are returned.
        """
        context = batch["context"].to(self.device)  # B C K H W
        video = self.generator(context[:, :, -1]).video
        return torch.cat([context, video[:, :, 1:]], dim=2)[:, :, : self.frames].float()
