"""Paired pixel metrics per frame, as Wang et al. 2004 define them."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import PairedMetric

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

WINDOW, SIGMA = 11, 1.5
PIXELS_AT_ONCE = 2**16  # the maps of so many float64 pixels stay in a core's cache


def window_matrix(size: int, like: Tensor) -> Tensor:
    """(size - 10) x size: row i holds the Gaussian weights around pixel i + 5, so that M @ x filters."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights /= weights.sum()
    rows = size - WINDOW + 1
    matrix = torch.zeros(rows, size, dtype=torch.float64)
    columns = torch.arange(rows)[:, None] + torch.arange(WINDOW)
    return matrix.scatter_(1, columns, weights.expand(rows, -1)).to(like.device)


def ssim(x: Tensor, y: Tensor, data_range: float = 255.0) -> Tensor:
    """Structural similarity of images, Wang et al. 2004 equation 13, averaged over the valid region.

    11x11 Gaussian window of sigma 1.5, K = 0.01 and 0.03, biased covariance; the border, where the window would hang
    over, is left out. Equals skimage's `structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)`; torchmetrics since 1.4.2 averages a reflected border in, and differs.

    Args:
        x, y: ... H W, each at least 11 pixels.
        data_range: largest possible value less the smallest.

    Returns:
        ... float64.
    """
    height, width = x.shape[-2:]
    if min(height, width) < WINDOW:
        raise BenchError(f"SSIM needs frames of at least {WINDOW}x{WINDOW} pixels, found {height}x{width} (H x W)")
    down, across = window_matrix(height, x), window_matrix(width, x).T
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    at_once = max(1, PIXELS_AT_ONCE // (height * width))

    def of_images(x: Tensor, y: Tensor) -> Tensor:
        x, y = x.double(), y.double()  # N H W
        filtered = down @ torch.stack([x, y, x * x, y * y, x * y]) @ across  # 5 N H-10 W-10
        mean_x, mean_y, square_x, square_y, product = filtered
        cross, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
        similarity = (2 * cross + c1) * (2 * (product - cross) + c2)
        similarity /= (squares + c1) * (square_x + square_y - squares + c2)
        return similarity.mean(dim=(1, 2))

    images = zip(x.reshape(-1, height, width).split(at_once), y.reshape(-1, height, width).split(at_once), strict=True)
    return torch.cat([of_images(a, b) for a, b in images]).reshape(x.shape[:-2])


def psnr(fake: Tensor, real: Tensor, data_range: float = 255.0) -> Tensor:
    """Peak signal-to-noise ratio of each frame in dB: 10 log10(range^2 / MSE), the error over channels and pixels.

    Args:
        fake, real: B C T H W.

    Returns:
        B T float64; infinite where the frames are identical.
    """
    squares = (fake.float() - real.float()).square()  # whole numbers below 2^24 for uint8, so exact
    error = squares.transpose(1, 2).flatten(2).mean(dim=2, dtype=torch.float64)  # B T
    return 10 * torch.log10(data_range**2 / error)


class SSIM(PairedMetric):
    """Structural similarity of generated and real frames: mean over channels, frames and clips (see `ssim`)."""

    higher_is_better = True
    name = "ssim"
    fingerprint = "ssim, 11x11 Gaussian sigma 1.5, K 0.01 0.03, biased covariance, valid region, uint8, float64"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses frames smaller than the window before anything is sampled."""
        if min(protocol.height, protocol.width) < WINDOW:
            raise BenchError(
                f"SSIM needs frames of at least {WINDOW}x{WINDOW} pixels, the data give "
                f"{protocol.height}x{protocol.width} (H x W); raise data.init_args.size or leave ssim out"
            )

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B 1."""
        return ssim(fake, real).mean(dim=(1, 2))[:, None]


class PSNR(PairedMetric):
    """Peak signal-to-noise ratio in dB: mean over the frames of a clip, then over clips.

    Identical frames have an infinite ratio, which neither averages nor fits into JSON, and leaving them out would
    punish the better method. They enter as `cap`, as does any frame above it, and are counted in the note.

    Args:
        cap: dB. The default lies above all that one wrong level in a 64x64 RGB frame can give (89 dB).
    """

    higher_is_better = True
    name = "psnr"

    def __init__(self, cap: float = 100.0) -> None:
        super().__init__(width=2)
        if not (math.isfinite(cap) and cap > 0):
            raise BenchError(f"psnr: cap must be a positive number of dB, found {cap}")
        self.cap = float(cap)

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"psnr, range 255, mean over frames then clips, frames capped at {self.cap:g} dB, uint8, float64"

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B 2: mean ratio, number of identical frames."""
        frames = psnr(fake, real)  # B T
        return torch.stack([frames.clamp_max(self.cap).mean(dim=1), frames.isinf().sum(dim=1)], dim=1)

    def note(self, values: Tensor) -> str:
        """Counts identical frames."""
        identical = int(values[:, 1].sum())
        return f"{identical} frames are identical to the real ones and count as {self.cap:g} dB" if identical else ""
