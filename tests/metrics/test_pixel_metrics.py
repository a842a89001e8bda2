import math
import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio as peak_signal_noise_ratio_of_all

from datamodules.errors import BenchError
from metrics import ssim as similarity
from metrics.best_of import OVERS, Over
from metrics.ms_ssim import MSSSIM
from metrics.pixel import L1, PSNR, SSIM, Pooling, decibels, mean_squared_error, psnr
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


@pytest.mark.parametrize("channels", [1, 3])
def test_poolings_are_those_of_the_codes(channels: int) -> None:
    real = noise_clips(0, 4, channels, 3, 16, 16)
    fake = torch.cat([noisy(real[i : i + 1], 5 + 10 * i) for i in range(4)])
    x, y = fake.double().numpy(), real.double().numpy()

    def decibels(error: np.ndarray) -> np.ndarray:
        return 10 * np.log10(255**2 / error)

    squares = (x - y) ** 2  # B C T H W
    expected = {
        "frame": decibels(squares.mean((1, 3, 4))).mean(),
        "channel": decibels(squares.mean((3, 4))).mean(),
        "clip": decibels(squares.mean((1, 2, 3, 4))).mean(),
        "set": float(peak_signal_noise_ratio_of_all(fake.double(), real.double(), data_range=255.0)),
    }
    found = {}
    for pooling in get_args(Pooling):
        metric = PSNR(pooling=pooling)
        metric.update(fake, real, numbered(0, 1, 2, 3))
        found[pooling] = metric.result()
        assert found[pooling].value == pytest.approx(expected[pooling], rel=1e-6), pooling
    assert len({r.fingerprint for r in found.values()}) == 4
    # The error of the pooled ratio: leaving one clip out at a time is another way to it.
    left_out = [decibels(np.delete(squares, i, 0).mean()) for i in range(4)]
    jackknife = math.sqrt(3 / 4 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert found["set"].standard_error == pytest.approx(jackknife, rel=0.35)
    levels = decibels(squares.mean((0, 1, 3, 4)))
    assert found["set"].curve is not None and found["set"].curve.mean == pytest.approx(levels.tolist(), rel=1e-6)
    assert found["clip"].curve is not None and found["frame"].curve is not None
    assert found["clip"].curve.mean == pytest.approx(found["frame"].curve.mean, rel=1e-6)
    assert PSNR().fingerprint == (  # recorded numbers are grouped by it
        "psnr, range 255, mean over frames then clips, frames capped at 100 dB, uint8, float64"
    )


def test_pooled_errors_choose_the_sample_with_the_least() -> None:
    real = noise_clips(0, 3, 3, 2, 16, 16)
    samples = [noisy(real, sigma) for sigma in (30, 5, 60)]
    protocol = ProtocolSettings(n_real=3, n_fake=3, samples=3)
    for pooling in get_args(Pooling):
        metric, alone = PSNR(pooling=pooling), PSNR(pooling=pooling)
        metric.prepare(ArrayData(val=real), protocol.resolve(ArrayData(val=real)))
        for k, fake in enumerate(samples):
            metric.update(fake, real, numbered(0, 1, 2), k)
        chosen: dict[Over, Tensor] = {"best": samples[1], "worst": samples[2]}
        for over, fake in chosen.items():
            alone.reset()
            alone.update(fake, real, numbered(0, 1, 2))
            assert metric.result(over).value == alone.result().value
        values = [metric.result(each).value or 0 for each in OVERS]
        assert values == sorted(values, reverse=True) and len(set(values)) == 3


def test_identical_clips_by_pooling() -> None:
    real = noise_clips(0, 2, 3, 4, 16, 16)
    for pooling in get_args(Pooling):
        metric = PSNR(cap=90, pooling=pooling)
        metric.update(real, real, numbered(0, 1))
        result = metric.result()
        assert (result.value, result.standard_error) == (90, 0)
        assert result.note.startswith("8 frames are identical to the real ones")


@pytest.mark.parametrize(("data_range", "unit"), [(255.0, 1.0), (2.0, 2 / 255), (1.0, 1 / 255)])
def test_l1_in_the_range_asked_for(data_range: float, unit: float) -> None:
    real = noise_clips(0, 4, 3, 3, 16, 16)
    fake = noisy(real, 20)
    metric = L1(data_range)
    metric.update(fake, real, numbered(0, 1, 2, 3))
    result = metric.result()
    expected = np.abs(fake.double().numpy() - real.double().numpy()).mean((1, 2, 3, 4)) * unit
    assert result.value == pytest.approx(expected.mean(), rel=1e-6)
    assert result.standard_error == pytest.approx(expected.std(ddof=1) / 2, rel=1e-4)
    assert f"range {data_range:g}" in result.fingerprint


def test_official_l1_and_psnr_of_channels() -> None:
    if "REELBENCH_PARITY" not in os.environ:
        pytest.skip("REELBENCH_PARITY is not set: no official L1 and PSNR to compare with")
    arrays = load_file(Path(os.environ["REELBENCH_PARITY"]) / "metrics_ssim_psnr.safetensors")
    levels = {k: torch.from_numpy(arrays[f"input/{k}"]).permute(2, 0, 1)[None, :, None] for k in ("u0", "u1", "u2")}
    for other in ("1", "2"):
        ours = L1(2.0).compare(levels[f"u{other}"], levels["u0"])
        assert float(ours) == pytest.approx(float(arrays[f"output/u0_u{other}_posegan_l1"]), abs=1e-7)
        unit = (torch.from_numpy(arrays[f"input/f{i}"])[None, :, None] for i in (0, other))
        ratio = decibels(mean_squared_error(*unit), data_range=1.0).mean()
        assert float(ratio) == pytest.approx(float(arrays[f"output/f0_f{other}_svg_finn_psnr"]), abs=1e-5)


@pytest.mark.parametrize("bad", ["float", "two channels", "nan"])
def test_clips_that_are_not_levels_are_refused(bad: str) -> None:
    good = noise_clips(0, 2, 3, 4, 16, 16)
    clips = {
        "float": good.float() / 127.5 - 1,
        "two channels": good[:, :2],
        "nan": torch.full(good.shape, float("nan")),
    }[bad]
    for metric in (SSIM(), PSNR(), L1(), MSSSIM(1)):
        with pytest.raises(BenchError, match=r"must be uint8 B C T H W with 1 or 3 channels|must be one shape"):
            metric.update(clips, good if bad != "two channels" else clips, numbered(0, 1))
        with pytest.raises(BenchError, match="must be one shape"):
            metric.update(good[:, :, :3], good, numbered(0, 1))


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_arguments_of_psnr_and_l1(value: float) -> None:
    with pytest.raises(BenchError, match="l1: data_range must be a positive number"):
        L1(value)
    with pytest.raises(BenchError, match="psnr: pooling must be one of frame, channel, clip, set, found 'all'"):
        PSNR(pooling="all")  # type: ignore[arg-type]
