"""Structural similarity with scikit-image's default settings, which PG2's numbers rest on."""

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError

WINDOW = 7
PIXELS_AT_ONCE = 2**18


def uniform_ssim_map(x: Tensor, y: Tensor, data_range: float = 255.0) -> Tensor:
    """Similarity at each place where the window lies within the image.

    7x7 uniform window, sample covariance (over 48), K = 0.01 and 0.03: what skimage's `structural_similarity` computes
    when it is told nothing, and averages over the same region. On noisy frames it reads 0.70 where Wang's own settings
    (`metrics.pixel.ssim`) read 0.62.

    Args:
        x, y: ... H W, each at least 7 pixels.
        data_range: largest possible value less the smallest.

    Returns:
        ... H-6 W-6 float64; place (0, 0) belongs to pixel (3, 3).
    """
    height, width = x.shape[-2:]
    if min(height, width) < WINDOW:
        raise BenchError(f"SSIM needs frames of at least {WINDOW}x{WINDOW} pixels, found {height}x{width} (H x W)")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    sample = WINDOW**2 / (WINDOW**2 - 1)

    def of_images(x: Tensor, y: Tensor) -> Tensor:
        x, y = x.double(), y.double()  # N H W
        means = F.avg_pool2d(torch.stack([x, y, x * x, y * y, x * y], dim=1), WINDOW, stride=1)  # N 5 H-6 W-6
        mean_x, mean_y, square_x, square_y, product = means.unbind(dim=1)
        cross, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
        above = (2 * cross + c1) * (2 * sample * (product - cross) + c2)
        return above / ((squares + c1) * (sample * (square_x + square_y - squares) + c2))

    at_once = max(1, PIXELS_AT_ONCE // (height * width))
    images = zip(x.reshape(-1, height, width).split(at_once), y.reshape(-1, height, width).split(at_once), strict=True)
    return torch.cat([of_images(a, b) for a, b in images]).reshape(*x.shape[:-2], height - 6, width - 6)
