import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.sizes import Size, height_width


class Noise(Method):
    """Reference row: every value uniform over the 256 levels of uint8. What any method must beat.

    Args:
        size: height and width of the frames, or (height, width).
        frames: T of the clips.
        channels: C of the frames.
    """

    trains = False

    def __init__(self, size: Size = 64, frames: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.size, self.frames, self.channels = size, frames, channels
        self.generator = nn.Module()  # nothing to average, compile or export

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Noise clips, whatever the batch holds."""
        levels = noise.integers(256, self.channels, self.frames, *height_width(self.size), device=self.device)
        return levels.float() / 127.5 - 1
