"""Curves over time, and best, mean and worst of several samples, against a loop that holds everything."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.best_of import Over
from metrics.content import AverageContentDistance
from metrics.frames import STEPS, FrameMetric, columns
from metrics.ms_ssim import MSSSIM
from metrics.pixel import L1, PSNR, SSIM, psnr
from metrics.protocol import MOST_SAMPLES, Protocol, ProtocolSettings
from metrics.ssim import ssim
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered
from tests.metrics.test_pixel_metrics import noisy

CLIPS, SAMPLES, STEPS_SCORED = 5, 3, 4
REAL = noise_clips(0, CLIPS, 3, 6, 16, 16)
# K B C T H W; which sample is best differs from clip to clip, and within a clip from frame to frame.
FAKE = torch.stack([noisy(REAL, 12 + 4 * k, seed=k) for k in range(SAMPLES)])
FAKE[:, 3] = FAKE[[1, 2, 0], 3]
FAKE[:, 4] = FAKE[[2, 0, 1], 4]
FAKE[0, 0, :, 3] = 255


def conditions(**changes: object) -> Protocol:
    settings = {"n_real": CLIPS, "n_fake": CLIPS, "samples": SAMPLES, "score_context": False, **changes}
    return ProtocolSettings(**settings).resolve(ArrayData(context=2, val=REAL))  # type: ignore[arg-type]


def scored(metric: FrameMetric, batches: list[list[int]], protocol: Protocol) -> MetricSuite:
    suite = MetricSuite({metric.name: metric})
    suite.prepare(ArrayData(context=2, val=REAL), protocol)
    for chosen in batches:
        for sample in range(protocol.samples):
            suite.update(FAKE[sample, chosen], REAL[chosen], numbered(*chosen), sample)
    return suite


def of_frames(metric: FrameMetric) -> Tensor:
    """N K T by hand, of the frames that are no context."""
    fake, real = FAKE[:, :, :, 2:], REAL[:, :, 2:]
    if isinstance(metric, SSIM):
        found = [ssim(f, real).mean(dim=1) for f in fake]
    elif isinstance(metric, PSNR):
        found = [psnr(f, real) for f in fake]
    else:
        found = [(f.double() - real.double()).abs().mean(dim=(1, 3, 4)) for f in fake]
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("metric", [SSIM(), PSNR(), L1()], ids=lambda m: m.name)
def test_best_mean_and_worst_equal_a_loop(metric: FrameMetric) -> None:
    expected = of_frames(metric).numpy()
    suite = scored(metric, [[3, 0], [1, 4, 2], [4]], conditions())  # clip 4 twice
    results = suite.results()
    assert list(results) == [f"{metric.name}_{over}" for over in get_args(Over)]
    for over in get_args(Over):
        curves = []
        for clip in range(CLIPS):
            of_samples = sorted(range(SAMPLES), key=lambda k: expected[clip, k].mean(), reverse=metric.name != "l1")
            chosen = {"best": of_samples[:1], "worst": of_samples[-1:], "mean": of_samples}[over]
            curves.append(expected[clip, chosen].mean(axis=0))
        result = results[f"{metric.name}_{over}"]
        of_clips = np.mean(curves, axis=1)
        assert result.value == pytest.approx(of_clips.mean(), rel=1e-6)
        assert result.standard_error == pytest.approx(of_clips.std(ddof=1) / math.sqrt(CLIPS), rel=1e-4)
        assert (result.n_real, result.n_fake) == (CLIPS, CLIPS)
        curve = result.curve
        assert curve is not None and curve.standard_error is not None and curve.count == CLIPS
        assert curve.frame == (2, 3, 4, 5)  # counted with the context
        assert curve.mean == pytest.approx(np.mean(curves, axis=0).tolist(), rel=1e-6)
        errors = np.std(curves, axis=0, ddof=1) / math.sqrt(CLIPS)
        assert curve.standard_error == pytest.approx(errors.tolist(), rel=1e-4)
    values = [results[f"{metric.name}_{over}"].value or 0 for over in ("best", "mean", "worst")]
    assert values == sorted(values, reverse=metric.name != "l1") and len(set(values)) == 3
    assert len({r.fingerprint for r in results.values()}) == 3


def test_one_sample_is_one_column_with_a_curve() -> None:
    metric = SSIM()
    result = scored(metric, [[0, 1, 2, 3, 4]], conditions(samples=1)).results()
    assert list(result) == ["ssim"] and "sample" not in result["ssim"].fingerprint
    curve = result["ssim"].curve
    assert curve is not None
    assert curve.mean == pytest.approx(of_frames(metric)[:, 0].mean(dim=0).tolist(), rel=1e-6)
    recorded = result["ssim"].as_dict()["curve"]
    assert recorded == {
        "frame": [2, 3, 4, 5],
        "mean": list(curve.mean),
        "standard_error": list(curve.standard_error or ()),
        "count": CLIPS,
    }


def test_one_clip_has_no_error_and_other_metrics_no_curve() -> None:
    metric = L1()
    metric.update(FAKE[0, :1], REAL[:1], numbered(0))
    curve = metric.result().curve
    assert curve is not None and (curve.standard_error, curve.count) == (None, 1)
    other = AverageContentDistance()
    other.update(FAKE[0], None, numbered(*range(CLIPS)))
    assert "curve" not in other.result().as_dict()


def test_samples_that_did_not_come_are_no_number() -> None:
    metric = SSIM()
    suite = scored(metric, [[0, 1, 2, 3]], conditions())
    suite.update(FAKE[0, 4:], REAL[4:], numbered(4))
    for result in suite.results().values():
        assert result.value is None and result.curve is None
        assert "5 clips must have 3 samples of 4 frames (protocol.samples), but 52 frames were compared" in result.note


def test_samples_beyond_the_protocols_are_refused() -> None:
    for metric, message in ((SSIM(), "sample 1 came where protocol.samples is 1"), (L1(), "sample -1 came")):
        with pytest.raises(BenchError, match=message):
            metric.update(FAKE[0], REAL, numbered(*range(CLIPS)), -1 if metric.name == "l1" else 1)


def test_samples_without_a_metric_that_compares_them_are_refused() -> None:
    suite = MetricSuite({"acd_color": AverageContentDistance()})
    with pytest.raises(BenchError, match=r"protocol.samples is 3, but none of evaluate.metrics \(acd_color\) compares"):
        suite.prepare(ArrayData(context=2, val=REAL), conditions())


def test_other_metrics_see_the_first_sample_alone() -> None:
    acd = AverageContentDistance()
    suite = MetricSuite({"ssim": SSIM(), "acd_color": acd})
    suite.prepare(ArrayData(context=2, val=REAL), conditions())
    for sample in range(SAMPLES):
        suite.update(FAKE[sample], REAL, numbered(*range(CLIPS)), sample)
    alone = AverageContentDistance()
    alone.update(FAKE[0, :, :, 2:], None, numbered(*range(CLIPS)))
    assert suite.results()["acd_color"] == alone.result()
    assert len(acd.fake_rows) == 1  # type: ignore[arg-type]  # and did no work for the others


def test_columns_name_their_metric() -> None:
    metrics = {"ssim": SSIM(), "acd_color": AverageContentDistance(), "ms_ssim_x": MSSSIM()}
    assert columns(metrics, 1) == metrics
    several = columns(metrics, 2)
    names = ["ssim_best", "ssim_mean", "ssim_worst", "acd_color", "ms_ssim_x_best", "ms_ssim_x_mean", "ms_ssim_x_worst"]
    assert list(several) == names and several["ssim_mean"] is metrics["ssim"]


def test_what_a_row_can_number() -> None:
    metric = L1()
    metric.prepare(ArrayData(val=REAL), conditions(samples=MOST_SAMPLES, score_context=True))
    metric.update(FAKE[0], REAL, numbered(*range(CLIPS)), MOST_SAMPLES - 1)
    parts = metric.table("pairs")[:, 1]
    assert parts.unique().tolist() == [(MOST_SAMPLES - 1) * STEPS + t for t in range(6)]
    for samples in (0, MOST_SAMPLES + 1):
        with pytest.raises(BenchError, match=rf"protocol.samples must be from 1 to {MOST_SAMPLES}, found {samples}"):
            ProtocolSettings(samples=samples)
    with pytest.raises(BenchError, match="at most 4096 can be compared"):
        L1().prepare(ArrayData(val=REAL), ProtocolSettings(frames=STEPS + 1).resolve(ArrayData(val=REAL)))


def test_memory_is_of_numbers_in_few_parts_not_of_frames() -> None:
    metric = SSIM()
    metric.prepare(ArrayData(val=REAL), conditions(samples=100))
    for sample in range(100):
        metric.update(FAKE[0, :, :, 2:], REAL[:, :, 2:], numbered(*range(CLIPS)), sample)
    kept = [part.numel() for part in metric.pairs_rows]  # type: ignore[union-attr]
    assert sum(kept) == CLIPS * 100 * STEPS_SCORED * 3  # clip, part and one number
    assert len(kept) <= 7  # 100 in binary digits
    assert metric.table("pairs")[:, 1].unique().tolist() == [k * STEPS + t for k in range(100) for t in range(4)]
