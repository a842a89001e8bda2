import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from datamodules.errors import BenchError
from metrics import ssim as similarity
from metrics.pixel import PSNR, SSIM, psnr
from metrics.protocol import ProtocolSettings
from metrics.ssim import ssim
from tests.metrics.array_data import ArrayData, noise_clips, numbered

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def noisy(clips: Tensor, sigma: float, seed: int = 9) -> Tensor:
    noise = sigma * torch.randn(clips.shape, generator=torch.Generator().manual_seed(seed))
    return (clips + noise).clamp(0, 255).round().to(torch.uint8)


@pytest.mark.parametrize("size", [(11, 11), (16, 25), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_skimage(size: tuple[int, int], channels: int) -> None:
    real = noise_clips(0, 2, channels, 3, *size)
    for fake in (noisy(real, 10), noise_clips(1, 2, channels, 3, *size)):
        ours = ssim(fake, real).mean(dim=1)  # B T
        for b in range(2):
            for t in range(3):
                x, y = (c[b, :, t].permute(1, 2, 0).double().numpy() for c in (fake, real))
                assert float(ours[b, t]) == pytest.approx(
                    structural_similarity(x, y, channel_axis=-1, **WANG), abs=1e-12
                )


def test_ssim_does_not_depend_on_how_images_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    real = noise_clips(0, 3, 3, 5, 16, 16)
    whole = ssim(noisy(real, 10), real)
    monkeypatch.setattr(similarity, "PIXELS_AT_ONCE", 16 * 16 * 7)
    torch.testing.assert_close(ssim(noisy(real, 10), real), whole, rtol=1e-13, atol=0)


def test_ssim_closed_forms() -> None:
    x = noise_clips(0, 2, 3, 2, 16, 16)
    torch.testing.assert_close(ssim(x, x), torch.ones(2, 3, 2, dtype=torch.float64), rtol=1e-14, atol=0)
    # Constant images a and b: (2ab + C1) / (a^2 + b^2 + C1)
    a, b, c1 = 40, 90, (0.01 * 255) ** 2
    value = ssim(torch.full((1, 12, 12), a), torch.full((1, 12, 12), b))
    assert float(value) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_equals_skimage(channels: int) -> None:
    real = noise_clips(0, 2, channels, 3, 16, 20)
    fake = noisy(real, 15)
    ours = psnr(fake, real)
    for b in range(2):
        for t in range(3):
            expected = peak_signal_noise_ratio(real[b, :, t].numpy(), fake[b, :, t].numpy(), data_range=255)
            assert float(ours[b, t]) == pytest.approx(expected, abs=1e-10)


def test_psnr_closed_form_and_its_largest_finite_value() -> None:
    real = torch.full((1, 3, 2, 64, 64), 100, dtype=torch.uint8)
    fake = real.clone()
    fake[:, :, 0] += 5
    fake[0, 0, 1, 0, 0] += 1
    ours = psnr(fake, real)[0]
    assert float(ours[0]) == pytest.approx(20 * np.log10(255 / 5), abs=1e-12)
    assert float(ours[1]) == pytest.approx(10 * np.log10(255**2 * 3 * 64 * 64), abs=1e-12)
    assert float(ours[1]) < PSNR().cap


def test_parity_file() -> None:
    if "REELBENCH_PARITY" not in os.environ:
        pytest.skip("REELBENCH_PARITY is not set: no reference SSIM and PSNR to compare with")
    arrays = load_file(Path(os.environ["REELBENCH_PARITY"]) / "metrics_ssim_psnr.safetensors")
    frames = {k: torch.from_numpy(arrays[f"input/{k}"]).permute(2, 0, 1) for k in ("u0", "u1", "u2")}
    for other in ("u1", "u2"):
        expected = float(arrays[f"output/u0_{other}_plain255_gaussian_ssim"])
        assert float(ssim(frames["u0"], frames[other]).mean()) == pytest.approx(expected, abs=1e-12)
        ratio = psnr(frames["u0"][None, :, None], frames[other][None, :, None])
        assert float(ratio) == pytest.approx(float(arrays[f"output/u0_{other}_psnr255"]), abs=1e-10)
    unit = {k: torch.from_numpy(arrays[f"input/{k}"]) for k in ("f0", "f1", "f2")}
    for other in ("f1", "f2"):
        expected = float(arrays[f"output/f0_{other}_svg_finn_ssim"])
        assert float(ssim(unit["f0"], unit[other], data_range=1.0).mean()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [SSIM(), PSNR()], ids=["ssim", "psnr"])
def test_metrics_average_frames_then_clips(metric: SSIM | PSNR) -> None:
    real = noise_clips(0, 5, 3, 4, 16, 16)
    fake = noisy(real, 12)
    metric.reset()
    metric.update(fake[:2], real[:2], numbered(0, 1))
    metric.update(fake[2:], real[2:], numbered(2, 3, 4))
    metric.update(fake[1:2], real[1:2], numbered(1))  # a duplicate
    metric.update(fake[:0], real[:0], numbered())
    frames = ssim(fake, real).mean(dim=1) if isinstance(metric, SSIM) else psnr(fake, real)
    of_clips = frames.mean(dim=1).numpy()
    result = metric.result()
    assert result.value == pytest.approx(of_clips.mean(), rel=1e-6)
    assert result.standard_error == pytest.approx(of_clips.std(ddof=1) / np.sqrt(5), rel=1e-4)
    assert (result.n_real, result.n_fake, result.note) == (5, 5, "")


def test_identical_frames_are_capped_and_counted() -> None:
    real = noise_clips(0, 2, 3, 4, 16, 16)
    fake = noisy(real, 12)
    fake[0, :, 1:3] = real[0, :, 1:3]
    for cap in (100.0, 60.0):
        metric = PSNR(cap=cap)
        metric.update(fake, real, numbered(0, 1))
        frames = psnr(fake, real)
        assert frames.isinf().sum() == 2
        expected = torch.where(frames.isinf(), cap, frames).mean()
        result = metric.result()
        assert result.value == pytest.approx(float(expected), rel=1e-6)
        assert result.note == f"2 frames are identical to the real ones and count as {cap:g} dB"
        assert f"capped at {cap:g} dB" in result.fingerprint


@pytest.mark.parametrize("metric", [SSIM(), PSNR()], ids=["ssim", "psnr"])
def test_pairs_that_do_not_match_are_refused(metric: SSIM | PSNR) -> None:
    metric.reset()
    real = noise_clips(0, 3, 3, 4, 16, 16)
    with pytest.raises(BenchError, match=f"{metric.name} compares .* `fake` is None"):
        metric.update(None, real, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="`real` is None"):
        metric.update(real, None, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="must be one shape"):
        metric.update(real[:2], real, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="3 fake clips came with 2 numbers"):
        metric.update(real, real, numbered(0, 1))
    metric.update(real, real, numbered(0, 1, 2))
    small = noise_clips(0, 1, 3, 4, 12, 12)
    with pytest.raises(BenchError, match="the clips before were"):
        metric.update(small, small, numbered(3))


def test_nothing_compared_is_no_number() -> None:
    for metric in (SSIM(), PSNR()):
        assert metric.result().value is None
        assert metric.result().note == "no clips were compared"


def test_small_frames_are_refused_before_and_while_scoring() -> None:
    small = noise_clips(0, 2, 3, 4, 10, 12)
    with pytest.raises(BenchError, match=r"at least 11x11 pixels, found 10x12"):
        SSIM().update(small, small, numbered(0, 1))
    data = ArrayData(val=small)
    with pytest.raises(BenchError, match=r"found 10x12 .*as the data give; raise data.init_args.size"):
        SSIM().prepare(data, ProtocolSettings().resolve(data))


@pytest.mark.parametrize("cap", [0.0, -1.0, float("inf"), float("nan")])
def test_cap_must_be_a_number_of_decibels(cap: float) -> None:
    with pytest.raises(BenchError, match="cap must be a positive number"):
        PSNR(cap=cap)
