from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.sizes import check_sizes
from lightning_modules.tgan.clipping import clip_discriminator, clip_weights
from lightning_modules.tgan.networks import (
    FRAMES,
    Discriminator,
    FrameSeedGenerator,
    ImageGenerator,
    VideoGenerator,
    bottom_width,
    init_chainer,
    init_he,
    init_uniform,
)


class TGAN(Method):
    """TGAN (Saito, Matsumoto, Saito, ICCV 2017, arXiv 1611.06624) as the official code trains it.

    Each step updates the generators, then the discriminator on the same fakes; neither sees the other's update.
    Official updates share one pass of D over the fakes; here D sees them once for either player, with the same result,
    and its running statistics take in fakes, then real clips, once each.

    Args:
        size: height and width of the frames, 64 (official) or 32.
        channels: C of the frames.
        frames: T of the training clips: 16. Sampled clips may be longer (`sample --frames`): the codes of the frames
            are interpolated linearly, as the paper does.
        z_slow_dim: length of z0, uniform in [-1, 1].
        z_fast_dim: length of the frames' codes z1^t.
        ngf: channels of the temporal generator's narrowest layer (official: 128); the image generator has 4 times that.
        ndf: channels of the discriminator's first layer.
        loss: `wgan`, or `vanilla`: sigmoid cross entropy, fakes labelled 1, noise of deviation 0.3 in D.
        clipping: `svc` cuts D's singular values off at 1, `weights` its weights at 0.01; `none`, with `vanilla` only.
        clip_every: steps between two clippings of singular values; weights are clipped in each.
        beta: BatchNorm shifts in G0 and D; the configuration of the paper's numbers has none.
        init: of G0 and D: `code` is what the official code drew (Chainer's default), `paper` He et al. as the paper
            says; G1 starts in U(-0.01, 0.01) with both.
        lr: of both RMSprop optimizers.
    """

    generator: VideoGenerator
    any_length = True

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = FRAMES,
        z_slow_dim: int = 100,
        z_fast_dim: int = 100,
        ngf: int = 128,
        ndf: int = 64,
        loss: Literal["wgan", "vanilla"] = "wgan",
        clipping: Literal["svc", "weights", "none"] = "svc",
        clip_every: int = 5,
        beta: bool = False,
        init: Literal["code", "paper"] = "code",
        lr: float = 5e-5,
    ) -> None:
        super().__init__()
        if frames != FRAMES:
            raise BenchError(f"model.init_args.frames must be {FRAMES}, which TGAN is built for, found {frames}")
        if min(z_slow_dim, z_fast_dim, ngf, ndf, clip_every) < 1 or ngf % 4:
            raise BenchError(
                "model.init_args: z_slow_dim, z_fast_dim, ndf and clip_every must be at least 1, ngf a multiple of 4; "
                f"found {z_slow_dim}, {z_fast_dim}, {ndf}, {clip_every} and {ngf}"
            )
        if loss == "wgan" and clipping == "none":
            raise BenchError("model.init_args.clipping none needs loss: vanilla; a WGAN's critic has to be bounded")
        self.size, self.channels, self.frames, self.lr = size, channels, frames, lr
        self.loss, self.clipping, self.clip_every = loss, clipping, clip_every
        bottom = bottom_width(size)
        seeds = FrameSeedGenerator(z_slow_dim, z_fast_dim, (4 * ngf, 2 * ngf, ngf, ngf), beta)
        self.generator = VideoGenerator(seeds, ImageGenerator(z_slow_dim, z_fast_dim, channels, 4 * ngf, bottom))
        self.discriminator = Discriminator(channels, ndf, bottom, beta, 0.3 if loss == "vanilla" else 0.0)
        if loss == "wgan":  # its gradient cancels between fakes and real clips
            assert self.discriminator.c4.bias is not None
            self.discriminator.c4.bias.requires_grad_(False)
        draw = init_chainer if init == "code" else init_he
        draw(seeds)
        draw(self.discriminator)
        init_uniform(self.generator.vgen)
        self.players = Players(self, ["generator", "discriminator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips alone."""
        return frozenset({"video"})

    def setup(self, stage: str) -> None:
        """Refuses data that do not fit, before the first step."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(data, ClipData):
            check_sizes(data, size=self.size, frames=self.frames, channels=self.channels)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One RMSprop for each player, in the order of `players`."""
        return [
            torch.optim.RMSprop([p for p in network.parameters() if p.requires_grad], self.lr, alpha=0.99, eps=1e-8)
            for network in (self.generator, self.discriminator)
        ]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player in the official order, then the clipping."""
        clips = batch["video"]  # B C T H W
        z = torch.rand(len(clips), self.generator.fsgen.z_slow_dim, device=self.device) * 2 - 1
        with self.players.turn("generator") as losses:
            fake = self.generator(z)
            with statistics_kept(self.discriminator):
                of_generator = self.generator_loss(self.discriminator(fake))
            losses.append(of_generator)
        with self.players.turn("discriminator") as losses:
            of_discriminator = self.discriminator_loss(self.discriminator(fake.detach()), self.discriminator(clips))
            losses.append(of_discriminator)
        self.clip(self.trainer.global_step)
        self.log_dict({"train/generator": of_generator.detach(), "train/discriminator": of_discriminator.detach()})

    def generator_loss(self, on_fake: Tensor) -> Tensor:
        """What G0 and G1 minimise, from D's scores of fakes: -mean D, or the cross entropy with real's label."""
        scores = on_fake.float()
        return -scores.mean() if self.loss == "wgan" else F.softplus(scores).mean()

    def discriminator_loss(self, on_fake: Tensor, on_real: Tensor) -> Tensor:
        """What D minimises: mean D(fake) - mean D(real), or both cross entropies with fakes labelled 1."""
        fake, real = on_fake.float(), on_real.float()
        if self.loss == "wgan":
            return fake.mean() - real.mean()
        return F.softplus(-fake).mean() + F.softplus(real).mean()

    def clip(self, step: int) -> None:
        """After step number `step`, from 1 on."""
        if self.clipping == "weights":
            clip_weights(self.discriminator)
        elif self.clipping == "svc" and step % self.clip_every == 0:
            clip_discriminator(self.discriminator)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of `self.frames` frames, whatever the batch holds; everything random comes from `noise`."""
        z = self._drawn(noise)
        return self._shown(z, self.generator.fsgen(z))

    @torch.no_grad()
    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        """Clips whose image generator sees z0 of one noise, with the frames' codes of the other."""
        return self._shown(self._drawn(content), self.generator.fsgen(self._drawn(motion)))

    def _drawn(self, noise: ClipNoise) -> Tensor:
        return noise.uniform(self.generator.fsgen.z_slow_dim).to(self.device) * 2 - 1

    def _shown(self, z_slow: Tensor, z_fast: Tensor) -> Tensor:
        if self.frames != FRAMES:
            z_fast = F.interpolate(z_fast, self.frames, mode="linear", align_corners=True)
        return self.generator.render(z_slow, z_fast).float()


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Inside, running statistics of BatchNorm layers do not move."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
