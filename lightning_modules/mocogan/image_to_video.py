from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.losses import bce_discriminator, bce_generator
from lightning_modules.mocogan.module import StepBatch
from lightning_modules.mocogan.networks import (
    Discriminator,
    PatchImageDiscriminator,
    PatchVideoDiscriminator,
    VideoGenerator,
    frame_encoder,
    init_torch02,
)


class ImageToVideoGenerator(VideoGenerator):
    """An encoder gives the content and the first motion code of a frame; the GRU walks on from there.

    Args:
        channels, dim_content, dim_motion, ngf, size: of `VideoGenerator`; the encoder mirrors the image generator.
    """

    def __init__(self, channels: int, dim_content: int, dim_motion: int, ngf: int, size: int) -> None:
        super().__init__(channels, dim_content, 0, dim_motion, ngf, size)
        self.encoder: nn.Module = frame_encoder(channels, ngf, size, dim_content + dim_motion)

    def codes(self, frame: Tensor, e: Tensor) -> Tensor:
        """Codes of the given frame and of those after it.

        Args:
            frame: B C H W in [-1, 1].
            e: B T-1 dim_motion from N(0, I).

        Returns:
            B T dim_content + dim_motion.
        """
        first = self.encoder(frame).flatten(1)
        content, h0 = first.split([self.dim_content, self.dim_motion], 1)
        return torch.cat([first[:, None], self.latents(h0, e, content, content[:, :0])], 1)

    def render(self, codes: Tensor) -> Tensor:
        """B T D -> B C T H W."""
        frames = self.main(codes.flatten(0, 1)[..., None, None])
        return frames.unflatten(0, codes.shape[:2]).transpose(1, 2)

    def forward(self, frame: Tensor, e: Tensor) -> Tensor:  # type: ignore[override]
        """B C T H W in [-1, 1], the first frame of which is the given one's reconstruction; see `codes`."""
        return self.render(self.codes(frame, e))


class ImageToVideoMoCoGAN(Method):
    """MoCoGAN's image-to-video variant: the future of one frame, another one for each noise.

    RECONSTRUCTED: neither code nor layers were released. From the paper's description, as remembered: an encoder in
    place of the draws gives z_C and the first motion code, the GRU gives the later ones, and an L1 loss holds the first
    frame to the given one. Its published numbers are user preferences alone, so that this cannot be checked.

    Args:
        size: height and width of the frames, 64 or 32.
        channels: C of the frames.
        frames: T of the clips with the given frame.
        dim_content: of the content code z_C.
        dim_motion: of the motion codes z_M and of the noise that drives the GRU.
        ngf: width of the generator and the encoder.
        ndf: width of both discriminators.
        noise_sigma: standard deviation of the noise before the discriminators' layers; 0 for none.
        lambda_first: weight of the mean absolute difference between the given frame and its reconstruction; the paper's
            is not known, this is conditional VGAN's.
        image_batch: real frames per step over all processes.
        lr: of all three Adam optimizers.
        betas: of Adam.
        weight_decay: of Adam, added to the gradient.
        init: see `MoCoGAN`.
    """

    generator: ImageToVideoGenerator
    any_length = True

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 16,
        dim_content: int = 50,
        dim_motion: int = 10,
        ngf: int = 64,
        ndf: int = 64,
        noise_sigma: float = 0.0,
        lambda_first: float = 10.0,
        image_batch: int = 32,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-5,
        init: Literal["torch02", "default"] = "torch02",
    ) -> None:
        super().__init__()
        self.size, self.channels, self.frames, self.image_batch = size, channels, frames, image_batch
        self.lambda_first, self.lr, self.betas, self.weight_decay = lambda_first, lr, betas, weight_decay
        self.generator = ImageToVideoGenerator(channels, dim_content, dim_motion, ngf, size)
        self.image_discriminator: Discriminator = PatchImageDiscriminator(channels, ndf, size, noise_sigma)
        self.video_discriminator: Discriminator = PatchVideoDiscriminator(channels, ndf, size, noise_sigma)
        if frames < self.video_discriminator.min_frames:
            raise BenchError(
                f"model.init_args.frames must be at least {self.video_discriminator.min_frames} at size {size}, "
                f"found {frames}"
            )
        if init == "torch02":
            init_torch02(self)
        self.players = Players(self, ["image_discriminator", "video_discriminator", "generator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips, and the frames that they begin with."""
        return frozenset({"video", "context"})

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Clips, and single frames of all videos."""
        return {"clips": StreamSpec(), "frames": StreamSpec(batch=self.image_batch, frames=1)}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`."""
        return [
            torch.optim.Adam(getattr(self, name).parameters(), self.lr, self.betas, weight_decay=self.weight_decay)
            for name in self.players.names
        ]

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """One update of each player, in MoCoGAN's order; every update draws its own fakes."""
        clips = batch["clips"]["video"]  # B C T H W
        frames = batch["frames"]["video"].squeeze(2)  # B C H W
        with self.players.turn("image_discriminator") as losses:
            with torch.no_grad():
                fake = self.fake_frames(frames)
            of_frames = bce_discriminator(self.image_discriminator(frames), self.image_discriminator(fake))
            losses.append(of_frames)
        with self.players.turn("video_discriminator") as losses:
            with torch.no_grad():
                fake = self.generator(clips[:, :, 0], self._noise(len(clips)))
            of_clips = bce_discriminator(self.video_discriminator(clips), self.video_discriminator(fake))
            losses.append(of_clips)
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(frames, clips[:, :, 0])
            losses += of_generator.values()
        every = {"image_discriminator": of_frames, "video_discriminator": of_clips, **of_generator}
        self.log_dict({f"train/{name}": loss.detach() for name, loss in every.items()})

    def generator_losses(self, frames: Tensor, first: Tensor) -> dict[str, Tensor]:
        """What the generator, its encoder and its GRU minimise, by name.

        Args:
            frames: given frames whose clips are judged by one of their frames, N C H W.
            first: given frames whose clips are judged whole, B C H W.
        """
        clips = self.generator(first, self._noise(len(first)))
        on_frames = self.image_discriminator(self.fake_frames(frames))
        return {
            "generator": bce_generator(on_frames) + bce_generator(self.video_discriminator(clips)),
            "first_frame": self.lambda_first * (clips[:, :, 0].float() - first.float()).abs().mean(),
        }

    def fake_frames(self, given: Tensor) -> Tensor:
        """Of each given frame's clip (N C H W) one frame at a uniformly drawn time, N C H W."""
        at = torch.randint(self.frames, (len(given),), device=self.device)
        codes = self.generator.codes(given, self._noise(len(given)))
        chosen = codes[torch.arange(len(given), device=self.device), at]
        return self.generator.render(chosen[:, None]).squeeze(2)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips that begin with the last frame of `batch["context"]` B C K H W; the context's frames are copied in."""
        context = batch["context"].to(self.device)
        e = noise.normal(self.frames - 1, self.generator.dim_motion).to(self.device)
        video = self.generator(context[:, :, -1], e)
        return torch.cat([context, video[:, :, 1:]], dim=2)[:, :, : self.frames].float()

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.frames - 1, self.generator.dim_motion, device=self.device)
