"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003)."""

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from metrics.frames import FrameMetric
from metrics.ssim import PIXELS_AT_ONCE, WANG, Similarity, SsimSettings

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2, from the finest scale
MIRRORED = SsimSettings(border="torchmetrics")


def scale_weights(scales: int) -> tuple[float, ...]:
    """The published weights; of fewer scales the first, brought to a sum of 1."""
    kept = WEIGHTS[:scales]
    return kept if scales == len(WEIGHTS) else tuple(weight / sum(kept) for weight in kept)


def check_side(height: int, width: int, scales: int) -> None:
    """Refuses frames whose coarsest scale would not hold the 11x11 window: 5 scales need 176 pixels.

    torchmetrics says "larger than 160" and refuses below 176 as well.

    Raises:
        BenchError: with the number of scales that fit.
    """
    side = min(height, width)
    need = WANG.taps * 2 ** (scales - 1)
    if side >= need:
        return
    fits = (side // WANG.taps).bit_length()
    remedy = f"scales = {fits} would fit, but is another metric" if fits else "no number of scales fits"
    raise BenchError(
        f"MS-SSIM with {scales} scales needs frames of at least {need} pixels a side, found {height}x{width} (H x W); "
        f"{remedy}"
    )


def ms_ssim(
    x: Tensor, y: Tensor, weights: tuple[float, ...] = WEIGHTS, settings: SsimSettings = WANG, data_range: float = 255.0
) -> Tensor:
    """Multi-scale structural similarity of images, equation 7 of Wang et al. 2003, in float64.

    The contrast term of each scale but the coarsest, and the full similarity of the coarsest, are averaged over pixels
    and channels, negative means become 0, and their weighted product is taken. Scales are halved by the mean of 2x2
    pixels; an odd last row or column is dropped. With the border mirrored the coarsest scale's similarity counts all
    pixels, yet contrast terms only those that the window fits around, as in torchmetrics.

    Args:
        x, y: N C H W.
        weights: exponents of the scales, from the finest.

    Returns:
        N.

    Raises:
        BenchError: the images are too small for so many scales.
    """
    count, channels, height, width = x.shape
    check_side(height, width, len(weights))
    if not count:
        return x.new_empty(0, dtype=torch.float64)
    at_once = max(1, PIXELS_AT_ONCE // (channels * height * width))
    parts = zip(x.split(at_once), y.split(at_once), strict=True)
    return torch.cat([_of_images(a.double(), b.double(), weights, settings, data_range) for a, b in parts])


def _of_images(x: Tensor, y: Tensor, weights: tuple[float, ...], settings: SsimSettings, data_range: float) -> Tensor:
    span = torch.full((1,), data_range, device=x.device)
    product = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(weights):
        similarity = Similarity(settings, x.shape[2], x.shape[3], x)
        luminance, contrast = similarity.maps(x.flatten(0, 1), y.flatten(0, 1), span)  # NC h w
        if scale + 1 == len(weights):
            contrast = luminance * contrast
        elif not settings.crop:
            contrast = contrast[:, 5:-5, 5:-5]
        product *= contrast.unflatten(0, x.shape[:2]).mean(dim=(1, 2, 3)).clamp_min(0) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product


class MSSSIM(FrameMetric):
    """Multi-scale structural similarity of generated and real frames: mean over frames, then clips (see `ms_ssim`).

    Args:
        scales: 5 as published needs frames of 176 pixels; fewer is another metric, with the first weights brought to a
            sum of 1.
        border: `torchmetrics` mirrors the coarsest scale's border, as torchmetrics does since 1.4.2.
    """

    higher_is_better = True
    name = "ms_ssim"

    def __init__(self, scales: int = 5, border: Literal["crop", "torchmetrics"] = "crop") -> None:
        super().__init__()
        if not 1 <= scales <= len(WEIGHTS):
            raise BenchError(f"ms_ssim: scales must lie in 1..{len(WEIGHTS)}, found {scales}")
        if border not in ("crop", "torchmetrics"):
            raise BenchError(f"ms_ssim: border must be crop or torchmetrics, found {border!r}")
        self.weights, self.settings = scale_weights(scales), WANG if border == "crop" else MIRRORED

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        weights = " ".join(f"{weight:.4f}" for weight in self.weights)
        return f"ms_ssim, weights {weights}, {self.settings}, 2x2 means, uint8, float64"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses frames that are too small before anything is sampled."""
        super().prepare(data, protocol)
        check_side(protocol.height, protocol.width, len(self.weights))

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B T."""
        a, b = (clips.transpose(1, 2).flatten(0, 1) for clips in (fake, real))  # BT C H W
        return ms_ssim(a, b, self.weights, self.settings).unflatten(0, (len(fake), fake.shape[2]))
