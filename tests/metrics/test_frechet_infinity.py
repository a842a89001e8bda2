import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.i3d import I3D
from metrics.frechet import FrechetDistance, Gaussian, fit
from metrics.frechet_infinity import FrechetInfinity, intercept
from tests.metrics.array_data import MeanColour


class Wide(MeanColour):
    num_features = 64


SPREAD = torch.ones(64, dtype=torch.float64)
SHIFT = torch.zeros(64, dtype=torch.float64)
SHIFT[:8] = 0.5
# Frechet distance of N(0, diag(s^2)) and N(shift, 4 diag(s^2)): |shift|^2 + sum (s - 2 s)^2.
TRUE = float(SHIFT.square().sum() + SPREAD.square().sum())


def normal(seed: int, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 64, generator=rng, dtype=torch.float64) * SPREAD


def filled(metric: FrechetDistance | FrechetInfinity, seed: int, count: int) -> FrechetDistance | FrechetInfinity:
    metric.put("fake", torch.arange(count), normal(2 * seed, count))
    metric.put("real", torch.arange(count), 2 * normal(2 * seed + 1, count) + SHIFT)
    return metric


def value_of(metric: FrechetDistance | FrechetInfinity) -> float:
    value = metric.result().value
    assert value is not None
    return value


def test_intercept_equals_numpy() -> None:
    x, y = torch.rand(9, dtype=torch.float64), torch.rand(9, dtype=torch.float64)
    assert intercept(x, y) == pytest.approx(np.polyfit(x.numpy(), y.numpy(), 1)[1], rel=1e-9)


def test_most_of_the_bias_goes() -> None:
    """Over eight draws of 256 clips in 64 dimensions: the plug-in is far off, the extrapolation within two errors."""
    plain, far = [], []
    for seed in range(8):
        plain.append(value_of(filled(FrechetDistance(Wide(), jackknife_groups=0), seed, 256)))
        far.append(value_of(filled(FrechetInfinity(Wide(), jackknife_groups=0), seed, 256)))
    error = np.std(far) / 8**0.5
    assert np.mean(plain) - TRUE > 5 * error
    assert abs(np.mean(far) - TRUE) < 2.5 * error + 0.02 * TRUE


def test_error_is_about_the_spread_over_draws() -> None:
    found = [filled(FrechetInfinity(Wide(), jackknife_groups=8), seed, 128).result() for seed in range(8)]
    errors, values = [r.standard_error or 0.0 for r in found], [r.value or 0.0 for r in found]
    assert 0.4 < np.mean(errors) / np.std(values) < 3


def test_frames_of_a_clip_are_drawn_together() -> None:
    """Clips of equal frames have the distances of their first frames' rows, each counted as often."""
    x, y = normal(0, 24), normal(1, 24) + 1
    metric = FrechetInfinity(Wide("frame"), ddof=0, jackknife_groups=0)
    one = FrechetInfinity(Wide(), ddof=0, jackknife_groups=0)
    for kind, rows in (("fake", x), ("real", y)):
        metric.put(kind, torch.arange(24), rows[:, None].expand(-1, 3, -1))
        one.put(kind, torch.arange(24), rows)
    assert metric.result().value == pytest.approx(one.result().value, rel=1e-6)


def test_counts_run_from_half_to_all_evenly_in_their_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(features: Tensor, ddof: int) -> Gaussian:
        drawn.append(len(features))
        return fit(features, ddof)

    monkeypatch.setattr("metrics.frechet_infinity.fit", counted)
    filled(FrechetInfinity(Wide(), sizes=5, repeats=2, jackknife_groups=0), 0, 120).result()
    sizes = [round(120 / share) for share in (2, 1.75, 1.5, 1.25, 1)]
    assert drawn == [size for size in sizes for _ in range(2 if size == 120 else 4)]  # two sides, two draws


def test_names_and_arguments() -> None:
    assert FrechetInfinity(I3D()).name == "fvd_infinity"
    assert FrechetInfinity(MeanColour()).name == "frechet_infinity[colour]"
    assert "6 sizes from N/2 to N" in FrechetInfinity(MeanColour()).fingerprint
    for options, message in (
        ({"sizes": 1}, "sizes must be at least 2"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"ddof": 2}, "ddof must be 0 or 1"),
    ):
        with pytest.raises(BenchError, match=message):
            FrechetInfinity(MeanColour(), **options)  # type: ignore[arg-type]


def test_too_few_clips_have_no_value() -> None:
    result = filled(FrechetInfinity(Wide()), 0, 7).result()
    assert result.value is None and "needs at least 8 clips of each kind, got 7" in result.note
