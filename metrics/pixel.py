"""Paired pixel metrics per frame: SSIM, PSNR and L1."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.frames import FrameMetric, over_clips
from metrics.ssim import ssim
from metrics.ssim_presets import PRESETS, Preset

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

Pooling = Literal["frame", "channel", "clip", "set"]
POOLED: dict[Pooling, str] = {
    "frame": "mean over frames then clips",
    "channel": "of each channel, mean over channels, frames, clips",
    "clip": "of each clip's mean squared error, mean over clips",
    "set": "of the mean squared error over all clips",
}


def mean_squared_error(fake: Tensor, real: Tensor) -> Tensor:
    """Over pixels, of each frame and channel.

    Args:
        fake, real: uint8 B C T H W.

    Returns:
        B C T float64.
    """
    squares = (fake.float() - real.float()).square()  # whole numbers below 2^24, so exact
    return squares.flatten(3).mean(dim=3, dtype=torch.float64)


def decibels(error: Tensor, data_range: float = 255.0) -> Tensor:
    """10 log10(range^2 / MSE); infinite where the error is 0."""
    return 10 * torch.log10(data_range**2 / error)


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB, the error over channels and pixels.

    Args:
        fake, real: uint8 B C T H W.

    Returns:
        B T float64; infinite where the frames are identical.
    """
    return decibels(mean_squared_error(fake, real).mean(dim=1))


class SSIM(FrameMetric):
    """Structural similarity of generated and real frames: mean over channels, frames and clips (see `ssim`).

    Args:
        preset: whose settings (`metrics.ssim_presets`). They differ by up to 0.3 on the same frames.
        border: `torchmetrics` averages a mirrored border in, as torchmetrics does since 1.4.2.
    """

    higher_is_better = True
    name = "ssim"

    def __init__(self, preset: Preset = "wang", border: Literal["crop", "torchmetrics"] = "crop") -> None:
        super().__init__()
        if preset not in PRESETS:
            raise BenchError(f"ssim: preset must be one of {', '.join(PRESETS)}, found {preset!r}")
        if border not in ("crop", "torchmetrics"):
            raise BenchError(f"ssim: border must be crop or torchmetrics, found {border!r}")
        self.settings = replace(PRESETS[preset], border=border)

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`; two presets with the same settings give the same."""
        return f"ssim, {self.settings}, uint8, float64"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses frames smaller than the window before anything is sampled."""
        super().prepare(data, protocol)
        self.settings.check_size(
            protocol.height, protocol.width, remedy=", as the data give; raise data.init_args.size or leave ssim out"
        )

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B T."""
        data_range: float | Tensor | None = None
        if self.settings.data_range == "generated":
            low, high = fake.amin(dim=(1, 3, 4), keepdim=True), fake.amax(dim=(1, 3, 4), keepdim=True)
            data_range = (high.double() - low.double())[..., 0, 0]  # B 1 T
            # A frame of one colour has no range, and the quotient is rounding over rounding: no number.
            data_range = torch.where(data_range > 0, data_range, torch.nan)
        return ssim(fake, real, self.settings, data_range).mean(dim=1)


class PSNR(FrameMetric):
    """Peak signal-to-noise ratio in dB, of the range 0-255.

    Identical frames have an infinite ratio, which neither averages nor fits into JSON, and leaving them out would
    punish the better method. They enter as `cap`, as does any frame above it, and are counted in the note.

    Args:
        cap: dB. The default lies above all that one wrong level in a 64x64 RGB frame can give (89 dB).
        pooling: what one ratio is taken of. `frame`: a frame's error over channels and pixels, the ratios averaged
            (skimage, SAVP). `channel`: each channel's error (SVG, SRVP). `clip`: the error over a clip. `set`: the
            error over all clips, one ratio in all, torchmetrics' default. Ratios of pooled errors are lower wherever
            frames differ.
    """

    higher_is_better = True
    name = "psnr"

    def __init__(self, cap: float = 100.0, pooling: Pooling = "frame") -> None:
        super().__init__(width=2)
        if not (math.isfinite(cap) and cap > 0):
            raise BenchError(f"psnr: cap must be a positive number of dB, found {cap}")
        if pooling not in get_args(Pooling):
            raise BenchError(f"psnr: pooling must be one of {', '.join(get_args(Pooling))}, found {pooling!r}")
        self.cap, self.pooling = float(cap), pooling

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        what = "" if self.pooling == "set" else f"{self.pooling}s "
        return f"psnr, range 255, {POOLED[self.pooling]}, {what}capped at {self.cap:g} dB, uint8, float64"

    @property
    def best_is_highest(self) -> bool:
        """Scores of `set` are errors."""
        return self.pooling != "set"

    def _capped(self, error: Tensor) -> Tensor:
        return decibels(error).clamp_max(self.cap)

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B T 2: the frame's ratio (`clip`, `set`: its error), and 1 where the frame is identical."""
        of_channels = mean_squared_error(fake, real)  # B C T
        error = of_channels.mean(dim=1)
        number = {"frame": self._capped(error), "channel": self._capped(of_channels).mean(dim=1)}
        return torch.stack([number.get(self.pooling, error), (error == 0).double()], dim=2)

    def score(self, frames: Tensor) -> Tensor:
        """See `FrameMetric`."""
        mean = super().score(frames)
        return self._capped(mean) if self.pooling == "clip" else mean

    def level(self, frames: Tensor) -> Tensor:
        """See `FrameMetric`."""
        levels = super().level(frames)
        return self._capped(levels) if self.pooling == "clip" else levels

    def average(self, scores: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `FrameMetric`; the error of one ratio in all follows from that of the mean error."""
        mean, error = over_clips(scores)
        if self.pooling != "set":
            return mean, error
        return self._capped(mean), None if error is None else 10 / math.log(10) * error / mean.clamp_min(1e-300)

    def note(self, values: Tensor) -> str:
        """Counts identical frames."""
        identical = int(values[..., 1].sum())
        if not identical:
            return ""
        count = f" and count as {self.cap:g} dB" if self.pooling in ("frame", "channel") else ""
        return f"{identical} frames are identical to the real ones{count}"


class L1(FrameMetric):
    """Mean absolute difference over channels and pixels, then frames and clips.

    Args:
        data_range: width of the range in which it is told: 255 for levels (PG2), 2 for [-1, 1] (Deformable GAN), 1 for
            [0, 1].
    """

    higher_is_better = False
    name = "l1"

    def __init__(self, data_range: float = 255.0) -> None:
        super().__init__()
        if not (math.isfinite(data_range) and data_range > 0):
            raise BenchError(f"l1: data_range must be a positive number, found {data_range}")
        self.data_range = float(data_range)

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"l1, range {self.data_range:g}, mean over frames then clips, uint8, float64"

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B T."""
        difference = (fake.float() - real.float()).abs().flatten(3).mean(dim=3, dtype=torch.float64)  # B C T
        return difference.mean(dim=1) * (self.data_range / 255)
