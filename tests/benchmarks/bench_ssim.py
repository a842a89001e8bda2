"""SSIM's time as a share of torchmetrics': `python -m tests.benchmarks.bench_ssim`."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as reference_ms
from torchmetrics.functional.image import structural_similarity_index_measure as reference

from metrics.ms_ssim import MIRRORED, ms_ssim, scale_weights
from metrics.ssim import SsimSettings, ssim
from metrics.ssim_presets import PRESETS

ROUNDS = 9
SHAPES = {"8 x 16 x 64 x 64": (8, 3, 16, 64, 64), "2 x 16 x 256 x 256": (2, 3, 16, 256, 256)}


def medians(actions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each, in turns, so that a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(of_action) for name, of_action in seconds.items()}


def main() -> None:
    """Prints a table for each size of clips (B x T x H x W, three channels)."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    for label, shape in SHAPES.items():
        real = torch.randint(0, 256, shape, generator=rng).to(torch.uint8)
        fake = (real + 20 * torch.randn(shape, generator=rng)).clamp(0, 255).round().to(torch.uint8)
        frames = [clips.transpose(1, 2).flatten(0, 1) for clips in (fake, real)]  # BT C H W
        floats = [f.float() for f in frames]
        images = [f.permute(0, 2, 3, 1).numpy().astype(np.float64) for f in frames]

        def by_skimage(images: list[np.ndarray] = images) -> None:
            for x, y in zip(*images, strict=True):
                structural_similarity(
                    x, y, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
                )

        def by_torchmetrics(floats: list[torch.Tensor] = floats) -> None:
            reference(floats[0], floats[1], data_range=255.0, reduction="none")

        def of_scales(floats: list[torch.Tensor] = floats) -> None:
            reference_ms(floats[0], floats[1], data_range=255.0, betas=scale_weights(3), reduction="none")

        actions: dict[str, Callable[[], object]] = {
            "torchmetrics, float32": by_torchmetrics,
            "skimage, Wang's settings": by_skimage,
            "ssim, float64": partial(ssim, fake, real),
            "ssim, float32": partial(ssim, fake, real, dtype=torch.float32),
            "ssim, border mirrored": partial(ssim, fake, real, SsimSettings(border="torchmetrics")),
            "ssim, pg2": partial(ssim, fake, real, PRESETS["pg2"]),
            "torchmetrics MS-SSIM, 3 scales, float32": of_scales,
            "ms_ssim, 3 scales, float64": partial(ms_ssim, frames[0], frames[1], scale_weights(3), MIRRORED),
        }
        seconds = medians(actions)
        print(f"\n| {label} | seconds | of torchmetrics' SSIM |\n| --- | --- | --- |")
        for name, value in seconds.items():
            print(f"| {name} | {value:.3f} | {value / seconds['torchmetrics, float32']:.2f} |")


if __name__ == "__main__":
    main()
