from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.base import MetricResult
from metrics.estimates import MeanOfClips
from metrics.features.base import Extractor
from metrics.features.random import RandomFeatures
from metrics.temporal import SubjectConsistency, TemporalFlickering
from tests.metrics.array_data import MeanColour, noise_clips, numbered


class BrightFrames(Extractor):
    """Mean colours; nothing is found in a frame of level 0."""

    name = "bright"
    level = "frame"
    num_features = 3
    preprocessing = "none"

    def features(self, clips: Tensor) -> Tensor:
        of_frames = clips.float().mean(dim=(3, 4)).transpose(1, 2)  # B T 3
        return torch.where(of_frames.amax(dim=2, keepdim=True) > 0, of_frames, torch.nan)


def still(count: int = 3, frames: int = 4) -> Tensor:
    return noise_clips(0, count, 3, 1, 16, 16).expand(-1, -1, frames, -1, -1)


def scored(metric: MeanOfClips, clips: Tensor, real: Tensor | None = None) -> MetricResult:
    metric.update(clips, None, numbered(*range(len(clips))))
    if real is not None:
        metric.update(None, real, numbered(*range(len(real))))
    return metric.result()


@pytest.mark.parametrize("metric", [TemporalFlickering(), SubjectConsistency(RandomFeatures("frame"))])
def test_a_still_clip_scores_one(metric: MeanOfClips) -> None:
    metric.reset()
    result = scored(metric, still())
    assert result.value == pytest.approx(1, abs=1e-6)
    assert (result.n_fake, result.note) == (3, "")
    assert float(metric.compute()) == result.value


def test_black_and_white_flicker_to_zero() -> None:
    clips = torch.zeros(2, 3, 5, 8, 8, dtype=torch.uint8)
    clips[:, :, ::2] = 255
    assert scored(TemporalFlickering(), clips).value == 0


def test_flickering_is_the_formula() -> None:
    clips = noise_clips(1, 4, 3, 5, 16, 16)
    of_clips = []
    for clip in clips.numpy().astype(float):
        changes = [np.abs(clip[:, t + 1] - clip[:, t]).mean() for t in range(4)]
        of_clips.append((255 - np.mean(changes)) / 255)
    result = scored(TemporalFlickering(), clips, still(frames=5))
    assert result.value == pytest.approx(np.mean(of_clips), rel=1e-6)
    assert result.standard_error == pytest.approx(np.std(of_clips, ddof=1) / 2, rel=1e-4)
    assert result.note == "real clips: 1 +- 0" and result.n_real == 3


def test_consistency_is_the_formula() -> None:
    clips = noise_clips(2, 3, 3, 5, 16, 16)
    extractor = RandomFeatures("frame", num_features=8)
    of_clips = []
    for features in extractor(clips).double().numpy():
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        terms = [max(0, b @ a) + max(0, b @ unit[0]) for a, b in pairwise(unit)]
        of_clips.append(np.mean(terms) / 2)
    assert scored(SubjectConsistency(extractor), clips).value == pytest.approx(np.mean(of_clips), rel=1e-6)


def test_orthogonal_colours_and_cut_negatives() -> None:
    clips = torch.zeros(1, 3, 3, 8, 8, dtype=torch.uint8)
    for frame, channel in enumerate((0, 1, 1)):  # cosines with the frame before: 0, 1; with the first: 0, 0
        clips[0, channel, frame] = 200
    assert scored(SubjectConsistency(MeanColour("frame")), clips).value == pytest.approx(0.25)

    class Signed(MeanColour):
        def features(self, clips: Tensor) -> Tensor:
            return super().features(clips) - 100

    levels = torch.tensor([200, 0, 0, 200], dtype=torch.uint8)  # features a, -a, -a, a
    opposed = levels[None, None, :, None, None].expand(1, 3, -1, 8, 8)
    # with the frame before: 0 (of -1), 1, 0; with the first: 0, 0, 1
    assert scored(SubjectConsistency(Signed("frame")), opposed).value == pytest.approx(2 / 6)


def test_clips_without_features_are_counted_and_left_out() -> None:
    clips = still().clone()
    clips[1, :, 2] = 0
    result = scored(SubjectConsistency(BrightFrames()), clips)
    assert result.value == pytest.approx(1)
    assert result.note == "1 of 3 clips have a frame without features" and result.n_fake == 3
    # a vector of zeros has no angle either
    assert scored(SubjectConsistency(MeanColour("frame")), clips).note == result.note
    nothing = scored(SubjectConsistency(BrightFrames()), torch.zeros_like(clips))
    assert nothing.value is None and nothing.note == "3 of 3 clips have a frame without features"


def test_arguments_and_lengths() -> None:
    with pytest.raises(BenchError, match="needs an extractor of level frame, random has level clip"):
        SubjectConsistency(RandomFeatures("clip"))
    with pytest.raises(BenchError, match="temporal_flickering needs clips of at least 2 frames, found 1"):
        TemporalFlickering().update(still(frames=1), None, numbered(0, 1, 2))
    nothing = TemporalFlickering().result()
    assert nothing.value is None and nothing.note == "no generated clips were seen"
