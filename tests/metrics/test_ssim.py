"""Structural similarity against skimage, torchmetrics, closed forms and the official numbers."""

import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from datamodules.errors import BenchError
from metrics.pixel import SSIM
from metrics.protocol import ProtocolSettings
from metrics.ssim import WANG, SsimSettings, filter_matrix, ssim
from metrics.ssim_presets import PRESETS, Preset
from tests.metrics.array_data import ArrayData, noise_clips, numbered
from tests.metrics.test_pixel_metrics import noisy

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
# The official calls. Frames come as uint8 H W C; the codes on floats in [0, 1] get them so.
CALLS: dict[Preset, dict[str, Any]] = {
    "wang": {**GAUSSIAN, "data_range": 255},
    "srvp": {**GAUSSIAN, "data_range": 1.0},
    "savp": {**GAUSSIAN, "data_range": 1.0},
    "svg": {"data_range": 2.0},
    "openstl": {"data_range": 2.0},
    "pg2": {"data_range": 255},
    "deformable_gan": {**GAUSSIAN, "data_range": None},
}
ON_UNIT = ("srvp", "savp", "svg", "openstl")


def official(preset: Preset, fake: Tensor, real: Tensor) -> float:
    """skimage on C H W."""
    x, y = (frame.permute(1, 2, 0).double().numpy() for frame in (real, fake))
    if preset in ON_UNIT:
        x, y = x / 255, y / 255
    call = {**CALLS[preset]}
    if call["data_range"] is None:
        call["data_range"] = y.max() - y.min()
    return float(structural_similarity(x, y, channel_axis=-1, **call))


@pytest.mark.parametrize("preset", CALLS)
@pytest.mark.parametrize("channels", [1, 3])
def test_presets_equal_the_official_calls(preset: Preset, channels: int) -> None:
    real = noise_clips(0, 2, channels, 3, 18, 23)
    fake = noisy(real // 2 + 40, 12)  # another range in each frame
    ours = SSIM(preset).compare(fake, real)
    for b in range(2):
        for t in range(3):
            assert float(ours[b, t]) == pytest.approx(official(preset, fake[b, :, t], real[b, :, t]), abs=1e-12)


def test_presets_are_all_tested_and_unlike_where_they_should_be() -> None:
    assert set(PRESETS) == set(get_args(Preset)) == {*CALLS, "deformable_gan_2018"}
    real = noise_clips(0, 1, 3, 1, 24, 24)
    values = {preset: float(SSIM(preset).compare(noisy(real, 30), real)) for preset in PRESETS}
    assert values["wang"] == values["srvp"] == values["savp"] and values["svg"] == values["openstl"]
    apart = [values[p] for p in ("wang", "svg", "pg2", "deformable_gan", "deformable_gan_2018")]
    assert np.abs(np.subtract.outer(apart, apart))[~np.eye(5, dtype=bool)].min() > 1e-6
    fingerprints = {SSIM(preset).fingerprint for preset in PRESETS}
    assert len(fingerprints) == 5  # equal settings are one number
    assert SSIM().fingerprint == (  # recorded numbers are grouped by it
        "ssim, 11x11 Gaussian sigma 1.5, K 0.01 0.03, biased covariance, valid region, uint8, float64"
    )


def test_13_taps_equal_skimage_of_2018_written_out() -> None:
    def window(image: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(image, 1.5, truncate=4.0))  # skimage's filter then, with scipy's default

    real = noise_clips(0, 1, 3, 2, 18, 23)
    fake = noisy(real, 12)
    ours = SSIM("deformable_gan_2018").compare(fake, real)
    for t in range(2):
        x, y = (c[0, :, t].double().numpy() for c in (fake, real))  # C H W
        c1, c2 = ((k * (x.max() - x.min())) ** 2 for k in (0.01, 0.03))
        of_channels = []
        for a, b in zip(x, y, strict=True):
            mean_a, mean_b, cross = window(a), window(b), window(a * b)
            variances = window(a * a) + window(b * b) - mean_a**2 - mean_b**2
            above = (2 * mean_a * mean_b + c1) * (2 * (cross - mean_a * mean_b) + c2)
            of_channels.append((above / ((mean_a**2 + mean_b**2 + c1) * (variances + c2)))[5:-5, 5:-5].mean())
        assert float(ours[0, t]) == pytest.approx(np.mean(of_channels), abs=1e-12)


@pytest.mark.parametrize("size", [(11, 11), (16, 25), (64, 64)])
def test_mirrored_border_equals_torchmetrics(size: tuple[int, int]) -> None:
    real = noise_clips(0, 2, 3, 2, *size)
    fake = noisy(real, 20)
    ours = SSIM(border="torchmetrics").compare(fake, real).flatten()
    frames = [clips.transpose(1, 2).flatten(0, 1) for clips in (fake, real)]
    a, b = (f.double() for f in frames)  # in float32 torchmetrics itself is off by 1e-6
    expected = structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    assert not torch.allclose(ours, SSIM().compare(fake, real).flatten(), atol=1e-4)


def test_float32_is_within_a_millionth_of_skimage() -> None:
    real = noise_clips(0, 2, 3, 4, 64, 64)
    ramp = torch.linspace(0, 255, 64).round().expand(64, 64).to(torch.uint8)
    for fake, true in ((noisy(real, 10), real), (noisy(ramp[None, None, None], 2), ramp[None, None, None])):
        ours = ssim(fake, true, dtype=torch.float32).mean(dim=1)
        assert ours.dtype == torch.float32
        for b in range(len(fake)):
            assert float(ours[b, 0]) == pytest.approx(official("wang", fake[b, :, 0], true[b, :, 0]), abs=1e-6)


@pytest.mark.parametrize("settings", [*PRESETS.values(), SsimSettings(border="torchmetrics")], ids=str)
def test_closed_forms_for_all_settings(settings: SsimSettings) -> None:
    size = settings.least
    x = noise_clips(0, 2, 3, 2, size, size)
    torch.testing.assert_close(
        ssim(x, x, settings, 255.0), torch.ones(2, 3, 2, dtype=torch.float64), rtol=1e-12, atol=0
    )
    a, b, c1 = 40, 90, (0.01 * 255) ** 2  # constant images: (2ab + C1) / (a^2 + b^2 + C1)
    value = ssim(torch.full((1, size, size), a), torch.full((1, size, size), b), settings, 255.0)
    assert float(value) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-9)
    with pytest.raises(BenchError, match=f"at least {size}x{size} pixels"):
        ssim(x[..., 1:], x[..., 1:], settings, 255.0)


@pytest.mark.parametrize("settings", [WANG, PRESETS["deformable_gan_2018"], SsimSettings(border="torchmetrics")])
def test_windows_sum_to_one(settings: SsimSettings) -> None:
    matrix = filter_matrix(17, settings, torch.empty(0, dtype=torch.float64))
    assert matrix.shape == (17 - 2 * settings.crop, 17)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(len(matrix), dtype=torch.float64), rtol=1e-14, atol=0)


def test_range_of_a_generated_frame_that_has_none() -> None:
    real = noise_clips(0, 2, 3, 2, 16, 16)
    fake = noisy(real, 10)
    fake[0, :, 1] = 7
    metric = SSIM("deformable_gan")
    metric.update(fake, real, numbered(0, 1))
    result = metric.result()
    assert result.value is None and result.note == "1 of 2 generated clips have frames without a finite number"
    with pytest.raises(BenchError, match="give data_range as a tensor"):
        ssim(fake, real, PRESETS["deformable_gan"])


@pytest.mark.parametrize(("argument", "value"), [("preset", "wong"), ("border", "valid")])
def test_unknown_settings_are_named(argument: str, value: str) -> None:
    with pytest.raises(BenchError, match=f"ssim: {argument} must be .*, found '{value}'"):
        SSIM(**{argument: value})  # type: ignore[arg-type]


def test_small_frames_by_preset() -> None:
    data = ArrayData(val=noise_clips(0, 2, 3, 4, 10, 12))
    protocol = ProtocolSettings().resolve(data)
    SSIM("pg2").prepare(data, protocol)
    with pytest.raises(BenchError, match="at least 11x11 pixels, found 10x12"):
        SSIM("deformable_gan_2018").prepare(data, protocol)


def test_official_numbers() -> None:
    if "REELBENCH_PARITY" not in os.environ:
        pytest.skip("REELBENCH_PARITY is not set: no official SSIM to compare with")
    arrays = load_file(Path(os.environ["REELBENCH_PARITY"]) / "metrics_ssim_psnr.safetensors")
    levels = {k: torch.from_numpy(arrays[f"input/{k}"]).permute(2, 0, 1)[None, :, None] for k in ("u0", "u1", "u2")}
    unit = {k: torch.from_numpy(arrays[f"input/{k}"]) for k in ("f0", "f1", "f2")}
    names: dict[Preset, str] = {
        "wang": "plain255_gaussian_ssim",
        "pg2": "plain255_default_ssim",
        "deformable_gan": "posegan_ssim",
        "deformable_gan_2018": "posegan_ssim_13tap",
    }
    for other in ("1", "2"):
        for preset, name in names.items():
            ours = SSIM(preset).compare(levels[f"u{other}"], levels["u0"])
            assert float(ours) == pytest.approx(float(arrays[f"output/u0_u{other}_{name}"]), abs=1e-12), preset
        for data_range in (1, 2):
            ours = ssim(unit["f0"], unit[f"f{other}"], PRESETS["svg"], float(data_range)).mean()
            expected = float(arrays[f"output/f0_f{other}_svg_skimage_ssim_dr{data_range}"])
            assert float(ours) == pytest.approx(expected, abs=1e-6)  # the official run was in float32
        finn = ssim(unit["f0"], unit[f"f{other}"], PRESETS["srvp"], 1.0).mean()
        assert float(finn) == pytest.approx(float(arrays[f"output/f0_f{other}_svg_finn_ssim"]), abs=1e-12)
