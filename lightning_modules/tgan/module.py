from collections.abc import Iterator, Mapping
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
from lightning_modules.categories import LearnsCategories, Learnt
from lightning_modules.contract import ClipNoise
from lightning_modules.tgan.clipping import clip_critic_singular_values, clip_critic_weights
from lightning_modules.tgan.critic import Critic, statistics_kept
from lightning_modules.tgan.initial import Init, init_weights
from lightning_modules.tgan.losses import FAKE, REAL, cross_entropy, wgan_critic, wgan_generator
from lightning_modules.tgan.networks import FRAMES, HALVINGS, VideoGenerator, VolumeGenerator, interpolate


class TGAN(LearnsCategories):
    """TGAN (Saito, Matsumoto, Saito, ICCV 2017, arXiv 1611.06624) as the official code trains it.

    Each step updates the generator, then the critic on the same fakes; both gradients are those before the step, as
    in the official code. Sampled clips of 31, 46, ... frames (`sample --frames`) show frames between the frames
    (`networks.interpolate`). Options where paper and code part: docs/methods/tgan.md.

    Args:
        size: height and width of the frames, 64 (official) or another multiple of 16.
        channels: C of the frames.
        frames: T of the clips: the architecture has 16.
        architecture: `temporal`, a code for each frame, or `volume`, the paper's baseline of 3-D deconvolutions.
        objective: `svc`, a WGAN with singular value clipping; `weight_clip`, a WGAN with weights in [-0.01, 0.01];
            `vanilla`, sigmoid cross entropy with the official code's inverted labels and noise in the discriminator.
        svc_every: steps from one singular value clipping to the next; weight clipping follows every step.
        categories: 0, or how many categories the clips are conditioned on: `attributes["category"]`. In training the
            fakes take the real clips' categories, so they follow the data's prior; `sample` takes the batch's.
        dim_slow: length of z0.
        dim_fast: length of the codes z1 of the frames.
        ngt: channels of the temporal generator's last hidden layer; the first has four times as many.
        ngf: channels of the image generator's last hidden layer; its first map has sixteen times as many.
        ndf: channels of the critic's first layer.
        beta: whether BatchNorm in the temporal generator and the critic has a shift.
        noise_sigma: of the noise in the discriminator; read with `vanilla` only.
        init: see `initial.init_weights`.
        lr: of both RMSprop optimizers.
        alpha: of RMSprop, decay of the mean square.
    """

    generator: VideoGenerator | VolumeGenerator
    any_length = True

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 16,
        architecture: Literal["temporal", "volume"] = "temporal",
        objective: Literal["svc", "weight_clip", "vanilla"] = "svc",
        svc_every: int = 5,
        categories: int = 0,
        dim_slow: int = 100,
        dim_fast: int = 100,
        ngt: int = 128,
        ngf: int = 32,
        ndf: int = 64,
        beta: bool = False,
        noise_sigma: float = 0.3,
        init: Init = "code",
        lr: float = 5e-5,
        alpha: float = 0.99,
    ) -> None:
        super().__init__()
        _check(size, frames, svc_every, categories)
        self.size, self.channels, self.frames, self.categories = size, channels, frames, categories
        self.objective, self.svc_every, self.lr, self.alpha = objective, svc_every, lr, alpha
        self.finer = 1
        bottom = size >> HALVINGS
        drawn: tuple[nn.Module, list[nn.Module]]  # uniformly, and as `init` says
        if architecture == "temporal":
            self.generator = VideoGenerator(
                dim_slow, dim_fast, categories, channels, [4 * ngt, 2 * ngt, ngt, ngt], 16 * ngf, bottom, beta
            )
            drawn = self.generator.image, [self.generator.temporal]
        else:
            self.generator = VolumeGenerator(dim_slow, categories, channels, 16 * ngf, bottom)
            drawn = self.generator, []
        sigma = noise_sigma if objective == "vanilla" else 0.0
        self.critic = Critic(channels, ndf, bottom, categories, beta, sigma)
        init_weights(drawn[0], [*drawn[1], self.critic], init)
        if objective != "vanilla":  # it cancels in the loss, which is a difference: its gradient is exactly zero
            self.critic.get_parameter("c4.bias").requires_grad_(False)
        self.players = Players(self, ["generator", "critic"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips, and labels where the method is conditioned on them."""
        return frozenset({"video", "attributes"} if init_args.get("categories") else {"video"})

    @property
    def learnt(self) -> Learnt | None:
        """What the clips are conditioned on."""
        return Learnt("categories", self.categories, "categories to 0") if self.categories else None

    def check_data(self, data: ClipData) -> None:
        """See `LearnsCategories.check_data`; also batches of one clip."""
        super().check_data(data)
        if data.batch_size < 2 * self.trainer.world_size:
            raise BenchError(
                f"data.init_args.batch_size is {data.batch_size} on {self.trainer.world_size} processes; TGAN's "
                "BatchNorm over the codes z0 needs at least 2 clips on each"
            )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One RMSprop for each player, in the order of `players`; Chainer's, whose eps is outside the root too."""
        return [
            torch.optim.RMSprop((p for p in network.parameters() if p.requires_grad), self.lr, self.alpha, eps=1e-8)
            for network in (self.generator, self.critic)
        ]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player on the same fakes, then the clipping."""
        real = batch["video"]  # B C 16 H W
        labels = self.one_hot(batch, len(real))
        with self.players.turn("generator") as losses:
            z = torch.rand(len(real), self.generator.dim_slow, device=self.device) * 2 - 1
            fake = self.generator(z, labels)
            of_generator = self.generator_losses(fake, labels)
            losses += of_generator.values()
        with self.players.turn("critic") as losses:
            of_critic = self.critic_losses(real, fake.detach(), labels)
            losses += of_critic.values()
        self.constrain()
        self.log_dict({f"train/{name}": loss.detach() for name, loss in {**of_generator, **of_critic}.items()})

    def generator_losses(self, fake: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """What G0 and G1 minimise, by name. The critic's running statistics see the fakes in its own turn only."""
        with statistics_kept(self.critic):
            on_fake = self.critic(fake, labels)
        vanilla = self.objective == "vanilla"
        return {"generator": cross_entropy(on_fake, REAL) if vanilla else wgan_generator(on_fake)}

    def critic_losses(self, real: Tensor, fake: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """What the critic minimises, by name; fakes and real clips pass through it apart, fakes first.

        Args:
            real, fake: B C 16 H W.
            labels: B categories, one-hot, of both.
        """
        on_fake, on_real = self.critic(fake, labels), self.critic(real, labels)
        if self.objective == "vanilla":
            return {"critic_real": cross_entropy(on_real, REAL), "critic_fake": cross_entropy(on_fake, FAKE)}
        return {"critic": wgan_critic(on_real, on_fake)}

    def constrain(self) -> None:
        """Clips the critic, after the steps whose number, from 1, `svc_every` divides; weights after every step.

        Under several processes all take rank 0's BatchNorm statistics, which the clipping reads, and rank 0's result.
        """
        if self.objective == "vanilla" or (self.objective == "svc" and self.global_step % self.svc_every):
            return
        apart = self.trainer.world_size > 1
        if apart:
            for layer in self.critic.modules():
                if isinstance(layer, _BatchNorm) and layer.running_var is not None:
                    torch.distributed.broadcast(layer.running_var, 0)
        (clip_critic_singular_values if self.objective == "svc" else clip_critic_weights)(self.critic)
        if apart:
            for parameter in self.critic.parameters():
                torch.distributed.broadcast(parameter.data, 0)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of 15 * `finer` + 1 frames, 16 unless the attribute was set; everything random comes from `noise`.

        With categories each clip is of the category of the batch's clip of the same number.
        """
        if self.finer < 1 or (self.finer > 1 and isinstance(self.generator, VolumeGenerator)):
            raise BenchError(
                f"finer is {self.finer}: it must be at least 1, and 1 with architecture volume, which has no codes "
                "of frames to interpolate"
            )
        self._check_asked(batch)
        z = noise.uniform(self.generator.dim_slow, device=self.device) * 2 - 1
        return self.generator(z, self.one_hot(batch, len(noise)), self.finer).float()

    @contextmanager
    def at_length(self, frames: int | None) -> Iterator[None]:
        """See `Method.at_length`: 15 times a whole number of frames and one, by frames between the frames."""
        own = self.frames, self.finer
        if frames is not None and frames != self.frames:
            finer, rest = divmod(frames - 1, FRAMES - 1)
            if rest or finer < 1 or isinstance(self.generator, VolumeGenerator):
                able = "of no other length" if isinstance(self.generator, VolumeGenerator) else "of 31, 46, 61, ..."
                raise BenchError(f"TGAN makes clips of {self.frames} frames and {able}, not of {frames}")
            self.frames, self.finer = frames, finer
        try:
            yield
        finally:
            self.frames, self.finer = own

    @torch.no_grad()
    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        """Clips whose image generator sees z0 of one noise, with the frames' codes of the other."""
        g = self.generator
        if not isinstance(g, VideoGenerator) or self.categories:
            return super().swap(content, motion)
        still, moving = (noise.uniform(g.dim_slow, device=self.device) * 2 - 1 for noise in (content, motion))
        none = self.one_hot({}, len(content))
        return g.render(still, interpolate(g.temporal(moving), self.finer), none).float()

    def requested(self, batch: VideoBatch, noise: ClipNoise) -> Mapping[str, Tensor]:
        """`category`, which `sample` takes from the batch."""
        return {"category": batch["attributes"]["category"]} if self.categories else {}

    def _check_asked(self, batch: VideoBatch) -> None:
        if not self.categories:
            return
        asked = batch.get("attributes", {}).get("category")
        if asked is None or (len(asked) and not 0 <= int(asked.min()) <= int(asked.max()) < self.categories):
            found = "none" if asked is None else f"{int(asked.min())} to {int(asked.max())}"
            raise BenchError(
                f"this TGAN makes clips of the categories 0 to {self.categories - 1} that attributes['category'] asks "
                f"for, found {found}: sample with the data that it was trained on"
            )

    def one_hot(self, batch: VideoBatch, clips: int) -> Tensor:
        """The batch's categories, clips x categories float32; clips x 0 without."""
        if not self.categories:
            return torch.empty(clips, 0, device=self.device)
        return F.one_hot(batch["attributes"]["category"].to(self.device), self.categories).float()


def _check(size: int, frames: int, svc_every: int, categories: int) -> None:
    """Raises `BenchError` for what the architecture cannot make."""
    if size < 16 or size % 16:
        raise BenchError(f"model.init_args.size must be a multiple of 16 for TGAN's four halvings, found {size}")
    if frames != FRAMES:
        raise BenchError(
            f"model.init_args.frames is {frames}, but TGAN makes clips of {FRAMES}: set data.init_args.frames to "
            f"{FRAMES}"
        )
    if svc_every < 1:
        raise BenchError(f"model.init_args.svc_every must be at least 1, found {svc_every}")
    if categories < 0:
        raise BenchError(f"model.init_args.categories must be 0 (none) or more, found {categories}")
