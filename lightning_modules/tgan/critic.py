"""The discriminator of TGAN, which in its WGAN is a critic, with the official layers' names."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_modules.tgan.networks import HALVINGS, batch_norm


class Critic(nn.Module):
    """One number a clip: four 3-D convolutions that halve time and space, then one over what is left.

    `bn0` is never called, in the official code neither; it is kept, frozen, because snapshots and the gamma rule of
    the clipping know it.

    Args:
        channels: C of the frames.
        width: channels of the first layer; officially 64.
        bottom: side of the last map, a sixteenth of the frame's.
        categories: length of the one-hot that joins the channels at every place; 0 for none.
        beta: whether BatchNorm shifts; the official reference config leaves the shift out.
        noise_sigma: standard deviation of the noise on the four hidden maps in training; the vanilla GAN has it.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        bottom: int = 4,
        categories: int = 0,
        beta: bool = False,
        noise_sigma: float = 0.0,
    ) -> None:
        super().__init__()
        self.categories, self.noise_sigma = categories, noise_sigma
        widths = [width * 2**i for i in range(HALVINGS)]
        for i, (below, above) in enumerate(zip([channels + categories, *widths], widths, strict=False)):
            self.add_module(f"c{i}", nn.Conv3d(below, above, 4, 2, 1))
            self.add_module(f"bn{i}", batch_norm(3, above, beta))
        self.get_submodule("bn0").requires_grad_(False)
        self.c4 = nn.Conv2d(widths[-1], 1, bottom)

    def forward(self, clips: Tensor, one_hot: Tensor | None = None) -> Tensor:
        """B C 16 H W in [-1, 1] and, with categories, their one-hot B categories -> B 1 1 1."""
        x = clips
        if self.categories:
            assert one_hot is not None
            volume = one_hot.to(x.dtype)[..., None, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, volume], 1)  # B C+categories 16 H W
        for i in range(HALVINGS):
            x = self.get_submodule(f"c{i}")(x)
            x = self.get_submodule(f"bn{i}")(x) if i else x
            if self.training and self.noise_sigma:
                x = x + self.noise_sigma * torch.randn_like(x)
            x = F.leaky_relu(x, 0.2)
        return self.c4(x.squeeze(2))  # one frame is left


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm in training mode normalises with the batch's statistics and leaves its running ones alone."""
    tracking = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    try:
        for layer in tracking:
            layer.track_running_stats = False
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
