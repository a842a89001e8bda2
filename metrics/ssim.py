"""Structural similarity of images (Wang et al. 2004) with every setting in which published numbers differ."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError

SIGMA = 1.5
PIXELS_AT_ONCE = 2**16  # the maps of so many float64 pixels stay in a core's cache


@dataclass(frozen=True)
class SsimSettings:
    """What moves a structural similarity.

    Attributes:
        window: weights around a pixel, `gaussian` of sigma 1.5 or `uniform`.
        taps: pixels along each side of the window, odd.
        covariance: `biased` divides by the window's weight, `sample` by n / (n - 1) of it, for n pixels.
        data_range: largest possible value less the smallest, for values of 0-255; `generated` takes the largest value
            in the generated frame less the smallest.
        border: `crop` leaves out as many pixels along each edge as an 11x11 (uniform: 7x7) window would hang over, as
            Wang's code and skimage do; `torchmetrics` keeps them all, the frame mirrored about its outermost pixels.
    """

    window: Literal["gaussian", "uniform"] = "gaussian"
    taps: int = 11
    covariance: Literal["biased", "sample"] = "biased"
    data_range: float | Literal["generated"] = 255.0
    border: Literal["crop", "torchmetrics"] = "crop"

    @property
    def crop(self) -> int:
        """Pixels left out along each edge."""
        if self.border == "torchmetrics":
            return 0
        return 5 if self.window == "gaussian" else self.taps // 2

    @property
    def least(self) -> int:
        """Pixels that a frame must have along each side."""
        return max(2 * self.crop, self.taps // 2) + 1

    def check_size(self, height: int, width: int, what: str = "SSIM", remedy: str = "") -> None:
        """Refuses frames that the window does not fit into.

        Raises:
            BenchError: a side below `least`.
        """
        if min(height, width) < self.least:
            raise BenchError(
                f"{what} needs frames of at least {self.least}x{self.least} pixels, found {height}x{width} "
                f"(H x W){remedy}"
            )

    def __str__(self) -> str:
        shape = f"Gaussian sigma {SIGMA:g}" if self.window == "gaussian" else "uniform"
        region = "border mirrored" if self.border == "torchmetrics" else "valid region"
        if self.crop and self.taps // 2 != self.crop:
            region = f"{self.crop} pixels of border left out"
        span = "" if self.data_range == 255 else f", range {self.data_range}"
        return f"{self.taps}x{self.taps} {shape}, K 0.01 0.03, {self.covariance} covariance, {region}{span}"


WANG = SsimSettings()


def filter_matrix(size: int, settings: SsimSettings, like: Tensor) -> Tensor:
    """Row i holds the window's weights around pixel i + crop, so that M @ x filters: (size - 2 crop) x size.

    Where the window hangs over, the weights fall on mirrored pixels: with `crop` as scipy's filters mirror (the
    outermost pixel twice), else as torch's reflection padding does (once).
    """
    radius = settings.taps // 2
    offsets = torch.arange(settings.taps) - radius
    weights = torch.exp(-0.5 * (offsets.double() / SIGMA) ** 2)
    if settings.window == "uniform":
        weights = torch.ones(settings.taps, dtype=torch.float64)
    columns = torch.arange(settings.crop, size - settings.crop)[:, None] + offsets
    once = settings.border == "torchmetrics"
    columns = torch.where(columns < 0, -columns - (0 if once else 1), columns)
    columns = torch.where(columns >= size, 2 * size - columns - (2 if once else 1), columns)
    matrix = torch.zeros(len(columns), size, dtype=torch.float64)
    matrix.scatter_add_(1, columns, (weights / weights.sum()).expand(len(columns), -1))
    return matrix.to(like)


class Similarity:
    """Maps of similarity for images of one size.

    Args:
        height, width: of the images.
        like: dtype and device of the arithmetic.
    """

    def __init__(self, settings: SsimSettings, height: int, width: int, like: Tensor) -> None:
        self.down = filter_matrix(height, settings, like)
        self.across = filter_matrix(width, settings, like).T
        pixels = settings.taps**2
        self.share = pixels / (pixels - 1) if settings.covariance == "sample" else 1.0

    def maps(self, x: Tensor, y: Tensor, data_range: Tensor) -> tuple[Tensor, Tensor]:
        """Luminance, and contrast with structure: their product is SSIM, Wang et al. 2004 equation 13.

        Args:
            x, y: N H W.
            data_range: N, or 1 for all.

        Returns:
            Two of N H-2crop W-2crop.
        """
        c1, c2 = ((k * data_range.to(x)).square()[:, None, None] for k in (0.01, 0.03))
        # About their common mean: variances are differences of squares, which float32 cannot tell apart far from 0.
        centre = ((x + y).mean(dim=(1, 2)) / 2)[:, None, None]
        x, y = x - centre, y - centre
        mean_x, mean_y, squares, product = self.down @ torch.stack([x, y, x * x + y * y, x * y]) @ self.across
        covariance = (product - mean_x * mean_y).mul_(2 * self.share).add_(c2)
        variances = squares.sub_(mean_x.square()).sub_(mean_y.square()).mul_(self.share).add_(c2)
        mean_x, mean_y = mean_x.add_(centre), mean_y.add_(centre)
        luminance = (mean_x * mean_y).mul_(2).add_(c1).div_(mean_x.square().add_(mean_y.square()).add_(c1))
        return luminance, covariance.div_(variances)


def ssim(
    x: Tensor,
    y: Tensor,
    settings: SsimSettings = WANG,
    data_range: float | Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Structural similarity of images, averaged over the pixels that the settings keep.

    By default Wang et al. 2004 themselves: 11x11 Gaussian window of sigma 1.5, K = 0.01 and 0.03, biased covariance,
    without the border, as skimage's `structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)`; torchmetrics since 1.4.2 averages a mirrored border in, and differs.

    Args:
        x, y: ... H W.
        data_range: of the values, a number or one for each image (...); by default the settings'.
        dtype: of the arithmetic. float32 is off by up to about 1e-6 on noisy frames.

    Returns:
        ... of `dtype`.

    Raises:
        BenchError: the window does not fit into the images, or a range that only the caller can tell.
    """
    height, width = x.shape[-2:]
    settings.check_size(height, width)
    if data_range is None:
        if settings.data_range == "generated":
            raise BenchError("ssim: the range of generated frames spans their channels; give data_range as a tensor")
        data_range = settings.data_range
    of_images = torch.as_tensor(data_range, device=x.device).expand(x.shape[:-2]).reshape(-1)
    similarity = Similarity(settings, height, width, torch.empty(0, dtype=dtype, device=x.device))
    at_once = max(1, PIXELS_AT_ONCE // (height * width))
    parts = (images.split(at_once) for images in (x.reshape(-1, height, width), y.reshape(-1, height, width)))
    values = []
    for a, b, span in zip(*parts, of_images.split(at_once), strict=True):
        luminance, contrast = similarity.maps(a.to(dtype), b.to(dtype), span)
        values.append(luminance.mul_(contrast).mean(dim=(1, 2)))
    return torch.cat(values).reshape(x.shape[:-2])
