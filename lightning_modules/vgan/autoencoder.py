from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import to_device
from lightning_modules.vgan.mixture import Mixture
from lightning_modules.vgan.networks import (
    Discriminator,
    Layers,
    TwoStreamGenerator,
    bottom_frames,
    init_weights,
    widths,
)

AT_ONCE = 64


class Autoencoder(nn.Module):
    """Clips to codes and back, and where the codes of the training clips lie.

    Args:
        dim_z: length of a code.
        ngf, ndf: channels of the decoder's last hidden level and of the encoder's first.
        channels, size, frames: of the clips.
        components: of the mixture.
    """

    def __init__(self, dim_z: int, ngf: int, ndf: int, channels: int, size: int, frames: int, components: int) -> None:
        super().__init__()
        bottom = bottom_frames(frames, size)
        self.encoder = Discriminator(channels, widths(ndf, size)[::-1], bottom, classes=dim_z)
        self.decoder = TwoStreamGenerator(dim_z, widths(ngf, size), channels, bottom)
        self.mixture = Mixture(components, dim_z)

    def forward(self, clips: Tensor) -> Layers:
        """B C T H W -> the layers of its reconstruction."""
        layers: Layers = self.decoder(self.encoder(clips))
        return layers


class VGANAutoencoder(Method):
    """The baseline of VGAN's user study: an autoencoder, and a Gaussian mixture over its codes.

    The encoder has the discriminator's form, the decoder is the two-stream generator, and clips are decoded from draws
    of a mixture of 256 Gaussians fitted to the codes of training clips. The official code does not hold it. Not known,
    and chosen here: squared error as its loss, VGAN's optimizer, no penalty on the mask, diagonal covariances.

    The mixture is fitted whenever the method is scored (`prepare`); until then codes are drawn from N(0, I).

    Args:
        size: height and width of the frames, 64, or another power of two from 8.
        channels: C of the frames.
        frames: T of the clips: half of the size, or a quarter.
        dim_z: length of a code.
        ngf: channels of the decoder's last hidden level.
        ndf: channels of the encoder's first level.
        components: of the mixture.
        fitted_clips: training clips that the mixture is fitted to, one window each, at most.
        lr: of Adam.
        betas: of Adam.
    """

    generator: Autoencoder

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 32,
        dim_z: int = 100,
        ngf: int = 64,
        ndf: int = 64,
        components: int = 256,
        fitted_clips: int = 4096,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        if min(dim_z, ngf, ndf, components) < 1:
            raise BenchError(
                "model.init_args: dim_z, ngf, ndf and components must be at least 1, "
                f"found {dim_z}, {ngf}, {ndf} and {components}"
            )
        if fitted_clips < 2 * components:
            raise BenchError(
                f"model.init_args.fitted_clips must be at least twice components ({components}), found {fitted_clips}"
            )
        self.size, self.channels, self.frames = size, channels, frames
        self.fitted_clips, self.lr, self.betas = fitted_clips, lr, betas
        self.generator = Autoencoder(dim_z, ngf, ndf, channels, size, frames, components)
        init_weights(self)

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips alone."""
        return frozenset({"video"})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One Adam over encoder and decoder."""
        return torch.optim.Adam(self.generator.parameters(), self.lr, self.betas)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        """Mean squared error of the reconstruction."""
        clips = batch["video"]  # B C T H W
        loss = F.mse_loss(self.generator(clips).video.float(), clips.float())
        self.log("train/reconstruction", loss.detach())
        return loss

    @torch.no_grad()
    def prepare(self, data: ClipData) -> None:
        """Fits the mixture to the codes of training clips, of each video one window before any a second."""
        modes = self.generator.training
        self.generator.eval()
        codes = []
        for start in range(0, self.fitted_clips, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, self.fitted_clips))
            batch = to_device(data.eval_batch("train", list(numbers), self.frames, data.stride, seed=0), self.device)
            codes.append(self.generator.encoder(to_float(batch)["video"]).float())
        self.generator.train(modes)
        self.generator.mixture.fit(torch.cat(codes))

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of `self.frames` frames from draws of the mixture, whatever the batch holds."""
        mixture = self.generator.mixture
        codes = mixture(noise.uniform(), noise.normal(mixture.means.shape[1]))
        layers: Layers = self.generator.decoder(codes.to(self.device))
        return layers.video.float()
