import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.content import AverageContentDistance
from metrics.features.base import Extractor
from metrics.features.random import RandomFeatures
from metrics.identity import AverageEmbeddingDistance, AverageIdentityDistance
from tests.metrics.array_data import MeanColour, noise_clips, numbered
from tests.metrics.test_temporal import BrightFrames


def plain(levels: list[list[int]]) -> Tensor:
    """Grey clips B 1 T 4 4 of the given levels."""
    return torch.tensor(levels, dtype=torch.uint8)[:, None, :, None, None].expand(-1, 1, -1, 4, 4)


def identity(clips: Tensor, real: Tensor | None = None, **arguments: object) -> AverageIdentityDistance:
    metric = AverageIdentityDistance(**{"extractor": BrightFrames(), **arguments})  # type: ignore[arg-type]
    metric.update(clips, None, numbered(*range(len(clips))))
    if real is not None:
        metric.update(None, real, numbered(*range(len(real))))
    return metric


def test_a_still_clip_scores_zero() -> None:
    clips = noise_clips(0, 3, 3, 1, 16, 16).expand(-1, -1, 5, -1, -1)
    assert identity(clips, extractor=RandomFeatures("frame")).result().value == 0


@pytest.mark.parametrize("pairs", ["all", "consecutive"])
def test_equals_the_definition_written_out(pairs: str) -> None:
    clips = noise_clips(1, 4, 3, 5, 16, 16)
    extractor = RandomFeatures("frame", num_features=6)
    chosen = itertools.combinations if pairs == "all" else lambda frames, _: itertools.pairwise(frames)
    of_clips = [
        np.mean([np.linalg.norm(a - b) for a, b in chosen(list(features), 2)])
        for features in extractor(clips).double().numpy()
    ]
    result = identity(clips, clips[:3], extractor=extractor, pairs=pairs).result()
    assert result.value == pytest.approx(np.mean(of_clips), rel=1e-6)
    assert result.standard_error == pytest.approx(np.std(of_clips, ddof=1) / 2, rel=1e-4)
    assert f"{pairs} frame pairs" in result.fingerprint
    assert result.note.startswith(f"real clips: {np.mean(of_clips[:3]):.4g}")


def test_pairs_of_colours_by_hand() -> None:
    tints = plain([[100, 110, 130]])  # three equal channels: distances are sqrt(3) times 10, 20 and 30
    root = 3**0.5
    for pairs, expected in (("all", 20 * root), ("consecutive", 15 * root)):
        metric = AverageContentDistance(pairs=pairs)  # type: ignore[arg-type]
        metric.update(tints, None, numbered(0))
        assert metric.result().value == pytest.approx(expected)
        assert identity(tints, pairs=pairs).result().value == pytest.approx(expected)
    with pytest.raises(BenchError, match="acd_color: pairs must be all or consecutive, found 'some'"):
        AverageContentDistance(pairs="some")  # type: ignore[arg-type]


def test_frames_in_which_nothing_is_found() -> None:
    result = identity(plain([[10, 0, 14], [0, 9, 0], [5, 5, 5]])).result()
    assert result.value == pytest.approx(2 * 3**0.5)  # of clips with 4 sqrt(3) and 0
    assert result.note == (
        "1 of 3 clips have no two frames in which the extractor finds anything; bright finds nothing in 3 frames"
    )
    # with consecutive pairs the first clip has none either
    result = identity(plain([[10, 0, 14], [0, 9, 0], [5, 5, 5]]), pairs="consecutive").result()
    assert result.value == 0 and result.note.startswith("2 of 3 clips")


def test_features_that_are_neither_missing_nor_finite() -> None:
    class Broken(MeanColour):
        def features(self, clips: Tensor) -> Tensor:
            return super().features(clips) / torch.tensor([1.0, 0.0, 1.0])

    for levels in ([1, 2], [0, 0]):  # infinity and NaN
        with pytest.raises(BenchError, match="colour features hold NaN or infinity beside numbers"):
            identity(plain([levels]), extractor=Broken("frame"))


@pytest.mark.parametrize(("squared", "expected"), [(True, (3 * 16 + 3 * 36) / 2), (False, (4 + 6) * 3**0.5 / 2)])
def test_embedding_distance_by_hand(squared: bool, expected: float) -> None:
    metric = AverageEmbeddingDistance(BrightFrames(), squared)
    metric.update(plain([[10, 20, 0, 5]]), plain([[14, 26, 9, 0]]), numbered(0))
    result = metric.result()
    assert result.value == pytest.approx(expected)
    assert result.note == "bright finds nothing in 2 pairs of frames"
    assert (result.n_fake, result.n_real) == (1, 1)
    metric.update(plain([[0, 0, 0, 0]]), plain([[1, 1, 1, 1]]), numbered(1))
    assert metric.result().value == pytest.approx(expected)
    assert metric.result().note.startswith("1 of 2 clips have no frame in which")


def test_embedding_distance_of_equal_clips_is_zero() -> None:
    extractor: Extractor = RandomFeatures("frame")
    clips = noise_clips(0, 3, 3, 4, 16, 16)
    metric = AverageEmbeddingDistance(extractor)
    metric.update(clips, clips, numbered(0, 1, 2))
    assert metric.result().value == 0
    with pytest.raises(BenchError, match="`real` is None"):
        metric.update(clips, None, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="must be one shape"):
        metric.update(clips, clips[:, :, :2], numbered(0, 1, 2))
