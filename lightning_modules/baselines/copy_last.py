from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method


class CopyLast(Method):
    """Reference row for prediction: the last given frame, repeated. What a world that stands still would score.

    Args:
        size: height and width of the frames, the data's.
        frames: T of the clips, the data's.
        channels: C of the frames, the data's.
    """

    trains = False
    any_length = True

    def __init__(self, size: int = 64, frames: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.size, self.frames, self.channels = size, frames, channels
        self.generator = nn.Module()  # nothing to average, compile or export

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """The frames that clips begin with."""
        return frozenset({"video", "context"})

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """`batch["context"]` B C K H W and its last frame again up to T frames.

        Raises:
            BenchError: no frame is given, or none is left to predict.
        """
        context = batch["context"].to(self.device)
        left = self.frames - context.shape[2]
        if not context.shape[2] or left < 1:
            raise BenchError(
                f"batch['context']: {context.shape[2]} frames are given of clips of {self.frames}; at least 1 must be "
                "given and 1 be left to predict: raise frames or lower data.init_args.context"
            )
        last = context[:, :, -1:].expand(-1, -1, left, -1, -1)
        return torch.cat([context, last], 2).float()
