"""Distances between the samples of a clip: known answers, and a loop over all pairs that holds everything."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.pixel import L1, PSNR, SSIM
from metrics.protocol import Protocol, ProtocolSettings
from metrics.sample_diversity import SampleDistance, SampleDiversity, SampleMetric
from metrics.ssim import ssim
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered

CLIPS, SAMPLES, CONTEXT = 4, 5, 2
REAL = noise_clips(0, CLIPS, 3, 6, 16, 16)
FAKE = torch.stack([noise_clips(1 + k, CLIPS, 3, 6, 16, 16) for k in range(SAMPLES)])  # K B C T H W


def conditions(**changes: object) -> Protocol:
    settings = {"n_real": CLIPS, "n_fake": CLIPS, "samples": SAMPLES, "score_context": False, **changes}
    return ProtocolSettings(**settings).resolve(ArrayData(context=CONTEXT, val=REAL))  # type: ignore[arg-type]


def scored(metric: SampleMetric, fake: Tensor, batches: list[list[int]], protocol: Protocol) -> MetricSuite:
    suite = MetricSuite({metric.name: metric, "l1": L1()})
    suite.prepare(ArrayData(context=CONTEXT, val=REAL), protocol)
    for chosen in batches:
        for sample in range(protocol.samples):
            suite.update(fake[sample, chosen], REAL[chosen], numbered(*chosen), sample)
    return suite


def test_all_pairs_equal_a_loop() -> None:
    of_clips = np.zeros((CLIPS, 4))
    for clip, t in itertools.product(range(CLIPS), range(4)):
        frames = FAKE[:, clip, :, CONTEXT + t].double().numpy()
        pairs = [np.mean((a - b) ** 2) for a, b in itertools.combinations(frames, 2)]
        of_clips[clip, t] = math.sqrt(np.mean(pairs))
    result = scored(SampleDiversity(), FAKE, [[2, 0], [3, 1]], conditions()).results()["sample_diversity"]
    assert result.value == pytest.approx(of_clips.mean(), rel=1e-6)
    assert result.standard_error == pytest.approx(of_clips.mean(1).std(ddof=1) / 2, rel=1e-4)
    assert (result.n_fake, result.n_real) == (CLIPS, 0) and "5 samples" in result.fingerprint
    curve = result.curve
    assert curve is not None and curve.frame == (2, 3, 4, 5) and curve.count == CLIPS
    assert curve.mean == pytest.approx(of_clips.mean(0).tolist(), rel=1e-6)


@pytest.mark.parametrize(
    "metric", [SampleDiversity(), SampleDistance(L1()), SampleDistance(SSIM())], ids=lambda m: m.name
)
def test_a_deterministic_method_has_none(metric: SampleMetric) -> None:
    same = FAKE[:1].expand(SAMPLES, -1, -1, -1, -1, -1)
    result = scored(metric, same, [[0, 1, 2, 3]], conditions()).results()[metric.name]
    assert result.value == pytest.approx(0, abs=1e-9) and result.standard_error == pytest.approx(0, abs=1e-9)


def test_two_levels_by_hand() -> None:
    """Samples 0, 10, 30 in every pixel: pairs differ by 10, 30, 20; consecutive ones by 10 and 20."""
    levels = torch.tensor([0, 10, 30], dtype=torch.uint8).reshape(3, 1, 1, 1, 1, 1).expand(3, CLIPS, 3, 6, 16, 16)
    protocol = conditions(samples=3)
    rms = scored(SampleDiversity(), levels, [[0, 1, 2, 3]], protocol).results()["sample_diversity"]
    assert rms.value == pytest.approx(math.sqrt((100 + 900 + 400) / 3), rel=1e-6)
    consecutive = scored(SampleDistance(L1()), levels, [[0, 1, 2, 3]], protocol).results()["sample_distance[l1]"]
    assert consecutive.value == 15
    white = 255 * (levels > 5)
    assert scored(SampleDiversity(), white.byte(), [[0, 1, 2, 3]], protocol).results()["sample_diversity"].value == (
        pytest.approx(255 * math.sqrt(2 / 3), rel=1e-6)  # the largest there is does not overflow
    )


def test_consecutive_samples_by_ssim() -> None:
    expected = np.mean(
        [1 - ssim(FAKE[k, :, :, CONTEXT:], FAKE[k - 1, :, :, CONTEXT:]).mean().item() for k in range(1, SAMPLES)]
    )
    result = scored(SampleDistance(SSIM()), FAKE, [[0, 1], [2, 3]], conditions()).results()["sample_distance[ssim]"]
    assert result.value == pytest.approx(expected, rel=1e-6) and result.fingerprint.startswith("1 - (ssim")


def test_nothing_is_held_once_all_samples_came() -> None:
    for metric in (SampleDiversity(), SampleDistance(L1())):
        before = set(vars(metric))
        scored(metric, FAKE, [[0, 1], [2, 3]], conditions())
        held = set(vars(metric)) - before - {"_first"}
        assert not held and sum(part.numel() for part in metric.fake_rows) == CLIPS * 4 * 3  # type: ignore[union-attr]


def test_one_sample_has_no_value_and_says_why() -> None:
    results = scored(SampleDiversity(), FAKE, [[0, 1, 2, 3]], conditions(samples=1)).results()
    assert results["sample_diversity"].value is None
    assert results["sample_diversity"].note == "needs at least 2 samples of each clip; raise protocol.samples"
    assert results["l1"].value is not None


def test_samples_that_did_not_come_are_no_number() -> None:
    suite = scored(SampleDiversity(), FAKE, [[0, 1, 2]], conditions())
    suite.update(FAKE[0, 3:], REAL[3:], numbered(3), 0)
    result = suite.results()["sample_diversity"]
    assert result.value is None and "the protocol asks for 4 and 0, scored were 3 generated" in result.note


def test_samples_out_of_turn_are_refused() -> None:
    metric = SampleDiversity()
    metric.prepare(ArrayData(context=CONTEXT, val=REAL), conditions())
    metric.update(FAKE[0, :2], None, numbered(0, 1), 0)
    for index, sample in (((0, 1), 2), ((0, 2), 1)):
        with pytest.raises(BenchError, match="samples of a batch come in order"):
            metric.update(FAKE[1, :2], None, numbered(*index), sample)
    metric.reset()
    with pytest.raises(BenchError, match="came after 0 samples"):
        metric.update(FAKE[1, :2], None, numbered(0, 1), 1)


def test_what_is_no_distance_is_refused() -> None:
    with pytest.raises(BenchError, match="psnr is no distance of frames"):
        SampleDistance(PSNR())


def test_samples_alone_may_be_what_is_measured() -> None:
    suite = MetricSuite({"sample_diversity": SampleDiversity()})
    suite.prepare(ArrayData(context=CONTEXT, val=REAL), replace(conditions(), samples=2))
