import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as reference

from datamodules.errors import BenchError
from metrics.ms_ssim import MIRRORED, MSSSIM, WEIGHTS, check_side, ms_ssim, scale_weights
from metrics.pixel import SSIM
from metrics.protocol import ProtocolSettings
from tests.metrics.array_data import ArrayData, noise_clips
from tests.metrics.test_pixel_metrics import noisy


def frames(size: tuple[int, int], sigma: float = 30, channels: int = 3) -> tuple[Tensor, Tensor]:
    real = noise_clips(0, 3, channels, 1, *size)
    return noisy(real, sigma)[:, :, 0], real[:, :, 0]


@pytest.mark.parametrize(("scales", "size"), [(1, (16, 16)), (2, (24, 30)), (3, (64, 51)), (5, (176, 191))])
@pytest.mark.parametrize("channels", [1, 3])
def test_mirrored_border_equals_torchmetrics(scales: int, size: tuple[int, int], channels: int) -> None:
    x, y = frames(size, channels=channels)
    weights = scale_weights(scales)
    ours = ms_ssim(x, y, weights, MIRRORED)
    expected = reference(x.double(), y.double(), data_range=255.0, betas=weights, reduction="none")
    torch.testing.assert_close(ours, expected.double(), rtol=0, atol=1e-7)  # torchmetrics holds its betas in float32


def test_one_scale_is_ssim() -> None:
    real = noise_clips(0, 2, 3, 2, 16, 16)
    fake = noisy(real, 10)
    for border in ("crop", "torchmetrics"):
        one = MSSSIM(scales=1, border=border).compare(fake, real)
        of_frames = SSIM(border=border).compare(fake, real)
        torch.testing.assert_close(one, of_frames, rtol=1e-12, atol=0)


def test_closed_forms() -> None:
    x, _ = frames((176, 180))
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)
    # Constant images have contrast 1 at every scale: the coarsest luminance to its weight is left.
    a, b, c1 = 40, 90, (0.01 * 255) ** 2
    value = ms_ssim(torch.full((1, 1, 176, 176), a), torch.full((1, 1, 176, 176), b))
    assert float(value) == pytest.approx(((2 * a * b + c1) / (a * a + b * b + c1)) ** WEIGHTS[-1], rel=1e-9)


def test_opposite_structure_is_zero_and_not_a_complex_root() -> None:
    x, _ = frames((44, 44))
    assert ms_ssim(x, 255 - x, scale_weights(3)).tolist() == [0.0, 0.0, 0.0]


def test_weights_of_fewer_scales_sum_to_one() -> None:
    assert scale_weights(5) == WEIGHTS
    assert sum(scale_weights(3)) == pytest.approx(1, abs=1e-15)
    assert scale_weights(3)[1] / scale_weights(3)[0] == pytest.approx(WEIGHTS[1] / WEIGHTS[0])
    assert MSSSIM(3).fingerprint != MSSSIM(5).fingerprint != MSSSIM(5, border="torchmetrics").fingerprint


def test_frames_that_are_too_small_are_refused_with_what_would_fit() -> None:
    for scales, most in ((1, 10), (3, 43), (5, 175)):
        with pytest.raises(BenchError, match=rf"{scales} scales needs frames of at least {most + 1} pixels a side"):
            check_side(most, 200, scales)
        check_side(most + 1, 200, scales)
    with pytest.raises(BenchError, match=r"found 64x64 \(H x W\); scales = 3 would fit"):
        ms_ssim(*frames((64, 64)))
    assert ms_ssim(*frames((64, 64)), scale_weights(3)).shape == (3,)
    with pytest.raises(ValueError, match="larger than 160"):  # of the same mind
        reference(torch.rand(1, 1, 175, 200), torch.rand(1, 1, 175, 200), data_range=1.0)
    data = ArrayData(val=noise_clips(0, 2, 3, 4, 9, 9))
    with pytest.raises(BenchError, match="no number of scales fits"):
        MSSSIM().prepare(data, ProtocolSettings().resolve(data))


@pytest.mark.parametrize("scales", [0, 6])
def test_number_of_scales(scales: int) -> None:
    with pytest.raises(BenchError, match=rf"scales must lie in 1..5, found {scales}"):
        MSSSIM(scales)
    with pytest.raises(BenchError, match="border must be crop or torchmetrics"):
        MSSSIM(border="valid")  # type: ignore[arg-type]
