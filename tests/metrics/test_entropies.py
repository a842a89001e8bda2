import math

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.class_probabilities import class_probabilities, entropy
from metrics.entropy import InterEntropy, IntraEntropy, entropy_of_mean
from metrics.features.base import Extractor
from metrics.features.random import RandomFeatures
from tests.metrics.array_data import noise_clips, numbered

EACH = (IntraEntropy, InterEntropy)


class Table(Extractor):
    """Logits (or whatever is in the table) of the clip whose first value is the row."""

    name = "table"
    level = "clip"
    preprocessing = "none"

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.num_features = rows.shape[1]
        self.register_buffer("rows", rows)
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        return self.get_buffer("rows")[clips[:, 0, 0, 0, 0].long()]


def clips_of(*rows: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.uint8)[:, None, None, None, None].expand(-1, 3, 2, 4, 4)


def both(table: Table, *rows: int, outputs: str = "logits") -> tuple[float, float]:
    values = []
    for metric in EACH:
        measured = metric(table, outputs)  # type: ignore[arg-type]
        measured.update(clips_of(*rows), None, numbered(*range(len(rows))))
        value = measured.result().value
        assert value is not None
        values.append(value)
    return values[0], values[1]


def test_an_unsure_classifier() -> None:
    intra, inter = both(Table(torch.zeros(1, 10)), 0, 0, 0)
    assert intra == pytest.approx(math.log(10), rel=1e-6)
    assert inter == pytest.approx(math.log(10), rel=1e-6)


def test_sure_and_even_or_collapsed() -> None:
    table = Table(200 * torch.eye(5))
    assert both(table, 0, 1, 2, 3, 4) == (pytest.approx(0, abs=1e-12), pytest.approx(math.log(5), rel=1e-6))
    assert both(table, 2, 2, 2, 2, 2) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert both(table, 0, 0, 1, 1)[1] == pytest.approx(math.log(2), rel=1e-6)


def test_equals_the_definition_and_the_inception_score() -> None:
    logits = torch.randn(6, 7, generator=torch.Generator().manual_seed(0)) * 2
    p = np.exp(logits.double().numpy())
    p /= p.sum(axis=1, keepdims=True)
    marginal = p.mean(axis=0)
    intra, inter = both(Table(logits), *range(6))
    assert intra == pytest.approx(-(p * np.log(p)).sum(axis=1).mean(), rel=1e-6)
    assert inter == pytest.approx(-(marginal * np.log(marginal)).sum(), rel=1e-6)
    divergence = (p * (np.log(p) - np.log(marginal))).sum(axis=1).mean()  # ln of the inception score of one split
    assert inter - intra == pytest.approx(divergence, rel=1e-5)
    assert both(Table(torch.from_numpy(p).float()), *range(6), outputs="probabilities") == pytest.approx((intra, inter))


def test_errors_of_the_estimates() -> None:
    rng = np.random.default_rng(0)
    p = torch.from_numpy(rng.dirichlet(np.ones(4), size=40))
    value, error = entropy_of_mean(p)
    left_out = [float(entropy(torch.cat([p[:i], p[i + 1 :]]).mean(dim=0))) for i in range(40)]
    assert error == pytest.approx(math.sqrt(39 / 40 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)), rel=1e-9)
    draws = [entropy_of_mean(torch.from_numpy(rng.dirichlet(np.ones(4), size=40)))[0] for _ in range(400)]
    assert error == pytest.approx(np.std(draws), rel=0.5)
    assert entropy_of_mean(p[:2])[1] is None
    assert value == pytest.approx(float(entropy(p.mean(dim=0))))


def test_what_is_printed_with_the_number() -> None:
    table = Table(torch.randn(3, 4))
    for metric, name, formula in zip(EACH, ("intra", "inter"), ("mean_v H(p(y|v))", "H(mean_v p(y|v))"), strict=True):
        measured = metric(table)
        measured.update(clips_of(0, 1), None, numbered(0, 1))
        measured.update(None, clips_of(2, 2, 1), numbered(0, 1, 2))
        result = measured.result()
        assert measured.name == f"{name}_entropy[table]"
        assert result.fingerprint.startswith(f"{formula}, natural logarithm, logits; table clip sha256")
        assert formula.replace("_v", " over clips v of") in (metric.__doc__ or "").replace("Mean", "mean")
        assert result.note.startswith("real clips: ") and (result.n_fake, result.n_real) == (2, 3)
        assert metric(table).result().note == "no generated clips were seen"


def test_outputs_that_are_no_probabilities() -> None:
    clips = noise_clips(0, 2, 3, 4, 16, 16)
    with pytest.raises(BenchError, match=r"said to be probabilities, .* logits are `outputs: logits`"):
        class_probabilities("x", RandomFeatures("clip", num_features=4), clips, "probabilities")
    with pytest.raises(BenchError, match="gives NaN or infinity"):
        class_probabilities("x", Table(torch.full((256, 3), torch.nan)), clips, "logits")
    with pytest.raises(BenchError, match="needs a classifier of level clip with at least 2 classes"):
        IntraEntropy(RandomFeatures("frame"))
    with pytest.raises(BenchError, match="outputs must be logits or probabilities, found 'scores'"):
        InterEntropy(RandomFeatures("clip"), "scores")  # type: ignore[arg-type]
