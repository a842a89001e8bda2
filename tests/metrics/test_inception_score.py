import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import Extractor
from metrics.inception_score import InceptionScore, inception_score
from tests.metrics.array_data import noise_clips, numbered


def probabilities(count: int, classes: int, seed: int = 0) -> Tensor:
    logits = torch.randn(count, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * logits).softmax(1)


def by_numpy(p: np.ndarray, splits: int) -> list[float]:
    """The definition, term by term."""
    scores = []
    for i in range(splits):
        part = p[i * len(p) // splits : (i + 1) * len(p) // splits]
        marginal = part.mean(0)
        scores.append(np.exp(np.mean([sum(row * (np.log(row) - np.log(marginal))) for row in part])))
    return scores


@pytest.mark.parametrize(("count", "splits"), [(40, 1), (41, 4), (23, 10)])
def test_is_the_definition(count: int, splits: int) -> None:
    p = probabilities(count, 7)
    expected = by_numpy(p.numpy(), splits)
    score = inception_score(p, splits)
    assert score.mean == pytest.approx(np.mean(expected), rel=1e-12)
    assert score.deviation == pytest.approx(np.std(expected), rel=1e-9, abs=1e-12)


def test_sure_and_evenly_spread_gives_the_number_of_classes() -> None:
    assert inception_score(torch.eye(101, dtype=torch.float64).repeat(3, 1)).mean == pytest.approx(101)
    assert inception_score(torch.full((8, 5), 0.2, dtype=torch.float64)).mean == pytest.approx(1)
    assert inception_score(torch.eye(5, dtype=torch.float64)[:1].repeat(6, 1)).mean == pytest.approx(1)


def test_splits_lower_a_perfect_score_by_half() -> None:
    """2,048 clips, 101 classes, a classifier that is always sure: 76.5 in ten splits, 98.5 in one."""
    rng = np.random.default_rng(0)
    p = torch.eye(101, dtype=torch.float64)[rng.integers(101, size=2048)]
    assert inception_score(p, 10).mean == pytest.approx(76.5, abs=1.5)
    assert inception_score(p, 1).mean == pytest.approx(98.5, abs=0.6)


def test_error_is_that_of_leaving_out_one_row() -> None:
    p = probabilities(12, 4)
    left_out = [inception_score(torch.cat([p[:i], p[i + 1 :]])).mean for i in range(12)]
    expected = np.sqrt(11 / 12 * np.square(np.array(left_out) - np.mean(left_out)).sum())
    assert inception_score(p).error == pytest.approx(expected, rel=1e-9)
    two = [inception_score(part).error or 0.0 for part in (p[:6], p[6:])]
    assert inception_score(p, 2).error == pytest.approx(np.hypot(two[0], two[1]) / 2, rel=1e-12)
    assert inception_score(p, 6).error is None


@pytest.mark.parametrize("splits", [1, 10])
def test_parity_metrics_frechet_inception(splits: int) -> None:
    folder = os.environ.get("REELBENCH_PARITY")
    if not folder:
        pytest.skip("REELBENCH_PARITY is not set: the official inception scores are not compared")
    arrays = load_file(Path(folder) / "metrics_frechet_inception.safetensors")
    atol = json.loads((Path(folder) / "metrics_frechet_inception.json").read_text())["suggested_atol"]
    score = inception_score(arrays["input/probs"], splits)
    for name, value in (("mean", score.mean), ("std", score.deviation)):
        key = f"inception_splits{splits}_{name}"
        assert value == pytest.approx(float(arrays[f"output/{key}"]), rel=0, abs=atol[key])


class Brightness(Extractor):
    """Two classes, dark and bright, of frames or clips."""

    name, num_features, preprocessing = "brightness", 2, "none"

    def __init__(self, level: str = "clip") -> None:
        super().__init__()
        self.level = level  # type: ignore[assignment]
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        bright = clips.float().mean(dim=(1, 3, 4)) / 255  # B T
        bright = bright.mean(1) if self.level == "clip" else bright
        return torch.stack([1 - bright, bright], -1)


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_over_batches_and_clips_seen_twice(level: str) -> None:
    clips = noise_clips(0, 6, 3, 4, 8, 8)
    clips[::2] //= 4
    metric = InceptionScore(Brightness(level), splits=2)
    metric.update(clips[4:], None, numbered(4, 5))
    metric.update(clips[:5], None, numbered(0, 1, 2, 3, 4))
    rows = Brightness(level)(clips).double().reshape(-1, 2)
    result = metric.result()
    assert result.value == pytest.approx(inception_score(rows, 2).mean, rel=1e-6)
    assert (result.n_real, result.n_fake) == (0, 6) and "deviation over splits" in result.note
    assert metric.name == "is2[brightness]" and "2 consecutive splits" in metric.fingerprint


def test_what_has_no_score() -> None:
    metric = InceptionScore(Brightness(), splits=10)
    metric.update(noise_clips(0, 4, 3, 4, 8, 8), None, numbered(0, 1, 2, 3))
    with pytest.raises(BenchError, match=r"is10\[brightness\] needs at least 10 clips, found 4"):
        metric.result()
    with pytest.raises(BenchError, match="splits must be at least 1, found 0"):
        InceptionScore(Brightness(), splits=0)
    with pytest.raises(BenchError, match="needs at least as many rows, found 3"):
        inception_score(torch.eye(3, dtype=torch.float64), 4)
