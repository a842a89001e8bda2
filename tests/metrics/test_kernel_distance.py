import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import Extractor
from metrics.features.i3d import I3D
from metrics.features.inception import Inception
from metrics.kernel_distance import KERNELS, Estimator, KernelDistance, kernel_sums
from tests.metrics.array_data import MeanColour, noise_clips, numbered


def normal(seed: int, count: int, dims: int) -> Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_sklearn(x: Tensor, y: Tensor, degree: int = 3, coef0: float = 1, biased: bool = False) -> float:
    k = [
        polynomial_kernel(a.numpy(), b.numpy(), degree=degree, gamma=1 / x.shape[1], coef0=coef0)
        for a, b in ((x, x), (y, y), (x, y))
    ]
    n, m = len(x), len(y)
    if biased:
        return float(k[0].mean() + k[1].mean() - 2 * k[2].mean())
    within = [(own.sum() - np.trace(own)) / (len(own) * (len(own) - 1)) for own in k[:2]]
    assert (n, m) == k[2].shape
    return float(sum(within) - 2 * k[2].mean())


def of(metric: KernelDistance, x: Tensor, y: Tensor) -> KernelDistance:
    metric.put("fake", torch.arange(len(x)), x)
    metric.put("real", torch.arange(len(y)), y)
    return metric


class Rows3(MeanColour):
    """Features that a test puts there."""


@pytest.mark.parametrize(("kernel", "estimator"), [("poly3", "unbiased"), ("poly3", "biased"), ("jedi", "biased")])
@pytest.mark.parametrize(("n", "m"), [(20, 31), (5, 4)])
def test_equals_sklearn(kernel: str, estimator: str, n: int, m: int) -> None:
    x, y = normal(0, n, 3), normal(1, m, 3) * 1.5 + 0.3
    metric = of(KernelDistance(Rows3(), kernel=kernel, estimator=estimator), x, y)  # type: ignore[arg-type]
    x, y = x.float().double(), y.float().double()  # as they are kept
    rule = KERNELS[kernel]  # type: ignore[index]
    expected = rule.scale * by_sklearn(x, y, rule.degree, rule.offset, estimator == "biased")
    assert metric.result().value == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_equals_torchmetrics_kid_of_all_rows() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    class Passing(torch.nn.Module):
        num_features = 3

        def forward(self, x: Tensor) -> Tensor:
            return x

    x, y = normal(0, 40, 3).float(), normal(1, 40, 3).float() + 0.5
    kid = KernelInceptionDistance(feature=Passing(), subsets=1, subset_size=40)
    kid.real_features, kid.fake_features = [y], [x]
    expected = float(kid.compute()[0])
    assert of(KernelDistance(Rows3()), x, y).result().value == pytest.approx(expected, rel=1e-4)


def test_unbiased_is_zero_on_average_and_the_other_is_not() -> None:
    found: dict[Estimator, list[float]] = {"unbiased": [], "biased": []}
    for seed in range(200):
        x, y = normal(2 * seed, 16, 3), normal(2 * seed + 1, 16, 3)
        zeros = torch.zeros(16, dtype=torch.int64)
        sums = kernel_sums(KERNELS["poly3"], x, y, zeros, zeros, 1)
        for estimator, values in found.items():
            values.append(sums.discrepancy(estimator))
    mean, error = np.mean(found["unbiased"]), np.std(found["unbiased"]) / 200**0.5
    assert abs(mean) < 3 * error
    assert np.mean(found["biased"]) > 10 * error


def test_blocks_and_groups_move_nothing() -> None:
    x, y = normal(0, 23, 4), normal(1, 17, 4)
    one = kernel_sums(KERNELS["poly3"], x, y, torch.zeros(23, dtype=torch.int64), torch.zeros(17, dtype=torch.int64), 1)
    many = kernel_sums(KERNELS["poly3"], x, y, torch.arange(23) % 5, torch.arange(17) % 5, 5)
    assert many.discrepancy("unbiased") == pytest.approx(one.discrepancy("unbiased"), rel=1e-12)


def test_error_is_that_of_leaving_out_groups() -> None:
    x, y = normal(0, 12, 3).float(), normal(1, 12, 3).float() + 1
    result = of(KernelDistance(Rows3(), jackknife_groups=4), x, y).result()
    kept = [torch.arange(12) % 4 != g for g in range(4)]
    left_out = [by_sklearn(x[k].double(), y[k].double()) for k in kept]
    expected = np.sqrt(3 / 4 * np.square(np.array(left_out) - np.mean(left_out)).sum())
    assert result.standard_error == pytest.approx(expected, rel=1e-8)


def test_error_is_the_spread_over_fresh_samples() -> None:
    values, errors = [], []
    for seed in range(40):
        result = of(KernelDistance(Rows3()), normal(2 * seed, 64, 3), normal(2 * seed + 1, 64, 3) + 0.7).result()
        assert result.value is not None and result.standard_error is not None
        values.append(result.value)
        errors.append(result.standard_error)
    assert 0.6 < np.mean(errors) / np.std(values) < 1.6


def test_subsets_are_as_the_published_kid() -> None:
    x, y = normal(0, 50, 3), normal(1, 60, 3) + 0.5
    some = of(KernelDistance(Rows3(), subsets=400, subset_size=20), x, y).result()
    whole = of(KernelDistance(Rows3()), x, y).result()
    assert some.value == pytest.approx(whole.value, rel=0.1) and some.value != whole.value
    assert some.note == "" and "400 random subsets of 20" in some.fingerprint
    small = of(KernelDistance(Rows3(), subsets=2, subset_size=1000), x, y).result()
    assert small.note == "subsets of 50 rows: there are no 1000"


class Published(MeanColour):
    distance_name = "fvd"


def test_names() -> None:
    assert KernelDistance(Published()).name == "kvd"
    assert KernelDistance(Published(), estimator="biased").name == "kernel[colour]"
    assert KernelDistance(MeanColour("frame")).name == "kernel_frame[colour]"
    assert (KernelDistance(I3D()).name, KernelDistance(Inception()).name) == ("kvd", "kid")
    options = [{}, {"kernel": "jedi"}, {"estimator": "biased"}, {"subsets": 3}, {"subsets": 3, "subset_size": 9}]
    assert len({KernelDistance(MeanColour(), **o).fingerprint for o in options}) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "rbf"}, "kernel must be poly3 or jedi, found 'rbf'"),
        ({"estimator": "v"}, "estimator must be unbiased or biased"),
        ({"subset_size": 1}, "subset_size must be at least 2, found 1"),
        ({"subsets": -1}, "subsets must be at least 0"),
    ],
)
def test_wrong_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        KernelDistance(MeanColour(), **options)  # type: ignore[arg-type]


def test_of_clips() -> None:
    fake, real = noise_clips(0, 6, 3, 4, 8, 8), noise_clips(1, 7, 3, 4, 8, 8)
    metric = KernelDistance(MeanColour())
    metric.update(fake, None, numbered(*range(6)))
    metric.update(None, real, numbered(*range(7)))
    extractor: Extractor = MeanColour()
    expected = by_sklearn(extractor(fake).double(), extractor(real).double())
    assert metric.result().value == pytest.approx(expected, rel=1e-9)
