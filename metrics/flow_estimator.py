"""What finds the flow in generated clips: one interface, and OpenCV's DIS."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.flow import LEAST, estimate, opencv


class ClipFlow(NamedTuple):
    """Flow between neighbouring frames in pixels, x then y.

    Attributes:
        forward: float32 B 2 T-1 H W, t -> t + 1.
        backward: float32 B 2 T-1 H W, t + 1 -> t.
    """

    forward: Tensor
    backward: Tensor


class FlowEstimator(Protocol):
    """Finds the flow in clips.

    Attributes:
        fingerprint: network or algorithm with its weights and settings.
    """

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def flow(self, clips: Tensor) -> ClipFlow:
        """Of uint8 B C T H W with T > 1, on the clips' device."""
        ...


class DisFlow:
    """OpenCV's DIS with its `medium` preset, as the data's own flow is made (`datamodules.flow`); on the CPU.

    Args:
        least: smaller frames are enlarged until their shorter side has so many pixels.

    Raises:
        BenchError: OpenCV is missing (the extra `flow`), or `least` is below 16.
    """

    def __init__(self, least: int = LEAST) -> None:
        if least < 16:
            raise BenchError(f"DisFlow: least must be at least 16 pixels, found {least}")
        self.least = least
        self.fingerprint = f"dis medium, least {least} px, opencv {opencv().__version__}"

    def flow(self, clips: Tensor) -> ClipFlow:
        """See `FlowEstimator.flow`; frames have at least 16 x 16 pixels."""
        frames = clips.permute(0, 2, 3, 4, 1).cpu().numpy()  # B T H W C
        found = [estimate(clip, self.least) for clip in frames]  # OpenCV takes one pair at a time
        forward, backward = (np.stack(part) for part in zip(*((f.forward, f.backward) for f in found), strict=True))
        return ClipFlow(*(torch.from_numpy(part).to(clips.device) for part in (forward, backward)))
