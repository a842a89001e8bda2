import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from datamodules.errors import BenchError
from metrics.precision_recall import Precision, Recall, covered, radii
from tests.metrics.array_data import MeanColour


def normal(seed: int, count: int, dims: int = 3) -> Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_equals_sklearn(k: int) -> None:
    centres, points = normal(0, 60), normal(1, 45) * 1.7
    neighbours = NearestNeighbors(n_neighbors=k + 1).fit(centres.numpy())
    reach = neighbours.kneighbors(centres.numpy())[0][:, -1]
    np.testing.assert_allclose(radii(centres, k).numpy(), reach, rtol=1e-12)
    apart = np.linalg.norm(points.numpy()[:, None] - centres.numpy(), axis=2)
    expected = (apart <= reach).any(1)
    assert 0 < expected.mean() < 1
    assert np.array_equal(covered(centres, points, k).numpy(), expected)


def filled(metric: Precision | Recall, fake: Tensor, real: Tensor) -> Precision | Recall:
    metric.put("fake", torch.arange(len(fake)), fake)
    metric.put("real", torch.arange(len(real)), real)
    return metric


def test_a_small_part_is_precise_and_recalls_little() -> None:
    real = normal(0, 200)
    fake = normal(1, 200) * 0.2
    precise, recall = (
        filled(Precision(MeanColour()), fake, real).result(),
        filled(Recall(MeanColour()), fake, real).result(),
    )
    assert precise.value is not None and precise.value > 0.95
    assert recall.value is not None and recall.value < 0.3
    assert recall.standard_error == pytest.approx((recall.value * (1 - recall.value) / 199) ** 0.5, rel=1e-9)
    far = filled(Precision(MeanColour()), fake + 100, real).result()
    assert far.value == 0


def test_equal_sets_are_covered() -> None:
    x = normal(0, 30)
    assert filled(Precision(MeanColour()), x, x).result().value == 1
    assert filled(Recall(MeanColour()), x, x).result().value == 1


def test_names_fewest_and_arguments() -> None:
    assert (Precision(MeanColour()).name, Recall(MeanColour("frame")).name) == (
        "precision[colour]",
        "recall_frame[colour]",
    )
    assert Precision(MeanColour()).fingerprint != Precision(MeanColour(), k=5).fingerprint
    result = filled(Precision(MeanColour()), normal(0, 3), normal(1, 9)).result()
    assert result.value is None and "needs at least 4 clips of each kind, got 3" in result.note
    with pytest.raises(BenchError, match="k must be at least 1"):
        Recall(MeanColour(), k=0)
