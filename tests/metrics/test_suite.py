import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from metrics.bank import LARGEST_INDEX
from metrics.base import MetricResult, VideoMetric, to_uint8
from metrics.content import AverageContentDistance
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance
from metrics.kernel_distance import KernelDistance
from metrics.novelty import Diversity, NearestTrainingClip
from metrics.pixel import PSNR, SSIM
from metrics.precision_recall import Precision, Recall
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, MeanColour, noise_clips, numbered


def every_metric() -> dict[str, VideoMetric]:
    metrics = [
        SSIM(),
        PSNR(),
        AverageContentDistance(),
        FrechetDistance(RandomFeatures("clip", num_features=8)),
        FrechetDistance(RandomFeatures("frame", num_features=8)),
        KernelDistance(RandomFeatures("clip", num_features=8)),
        KernelDistance(RandomFeatures("frame", num_features=8), subsets=3, subset_size=7),
        Precision(RandomFeatures("clip", num_features=8), k=1),
        Recall(RandomFeatures("frame", num_features=8), k=1),
        NearestTrainingClip(),
        Diversity(),
    ]
    return {m.name: m for m in metrics}


def ready(
    n_real: int = 6, n_fake: int = 6, metrics: Mapping[str, VideoMetric] | None = None, channels: int = 3
) -> MetricSuite:
    clips = noise_clips(5, 4, channels, 4, 16, 16)
    data = ArrayData(train=clips, val=clips)
    suite = MetricSuite(every_metric() if metrics is None else metrics)
    suite.prepare(data, ProtocolSettings(n_real=n_real, n_fake=n_fake).resolve(data))
    return suite


def as_floats(clips: Tensor) -> Tensor:
    return to_float({"video": clips})["video"]


def test_float_and_uint8_clips_score_alike_in_any_batches() -> None:
    fake, real = noise_clips(0, 6, 3, 4, 16, 16), noise_clips(1, 6, 3, 4, 16, 16)
    one, other = ready(), ready()
    one.update(fake, real, numbered(*range(6)))
    for i in (4, 0, 5, 1, 3, 2, 4):
        other.update(as_floats(fake[i : i + 1]), as_floats(real[i : i + 1]), numbered(i))
    other.update(fake[:0], real[:0], numbered())
    other.update(None, None, numbered())
    results, others = one.results(), other.results()
    assert list(results) == list(every_metric())
    for column, result in results.items():
        assert result.value is not None and math.isfinite(result.value), (column, result.note)
        assert others[column].value == pytest.approx(result.value, rel=1e-5), column
        assert others[column].n_fake == result.n_fake == 6
        assert others[column].fingerprint == result.fingerprint


def test_counts_of_real_and_generated_clips_may_differ() -> None:
    fake, real = noise_clips(0, 7, 3, 4, 16, 16), noise_clips(1, 4, 3, 4, 16, 16)
    cut, whole = ready(n_real=4, n_fake=7), ready(n_real=4, n_fake=7)
    cut.update(fake[:5], real, numbered(0, 1, 2, 3, 4))
    cut.update(fake[5:], None, numbered(5, 6))
    whole.update(fake[:5], noise_clips(2, 5, 3, 4, 16, 16).index_put((torch.arange(4),), real), numbered(0, 1, 2, 3, 4))
    whole.update(fake[5:], fake[5:], numbered(5, 6))  # real clips beyond n_real are dropped
    results = cut.results()
    assert results == whole.results()
    assert (results["ssim"].n_fake, results["ssim"].n_real) == (4, 4)
    assert (results["acd_color"].n_fake, results["acd_color"].n_real) == (7, 0)
    assert (results["frechet[random]"].n_fake, results["frechet[random]"].n_real) == (7, 4)
    assert (results["diversity"].n_fake, results["diversity"].n_real) == (7, 4)
    pairs = SSIM()
    pairs.update(fake[:4], real, numbered(0, 1, 2, 3))
    assert results["ssim"] == pairs.result()


def test_clips_are_told_by_number_where_the_batch_is_out_of_order() -> None:
    fake, real = noise_clips(0, 3, 3, 4, 16, 16), noise_clips(1, 5, 3, 4, 16, 16)
    one, cut, whole = (ready(n_real=5, n_fake=3) for _ in range(3))
    one.update(fake, real, numbered(0, 1, 2, 3, 4))
    order = [4, 1, 3, 0, 2]
    cut.update(fake[[1, 0, 2]], real[order], numbered(*order))
    beyond = noise_clips(2, 2, 3, 4, 16, 16)
    whole.update(torch.cat([fake, beyond])[order], real[order], numbered(*order))
    assert one.results() == cut.results() == whole.results()


def test_counts_that_fit_no_reading_are_refused() -> None:
    with pytest.raises(
        BenchError, match=r"2 fake clips came with a batch of 4 numbers, 3 of them below protocol.n_fake"
    ):
        ready(n_real=4, n_fake=3).update(noise_clips(0, 2, 3, 4, 16, 16), None, numbered(0, 1, 2, 3))


def test_context_is_cut_where_it_is_not_scored() -> None:
    fake, real = noise_clips(0, 3, 3, 6, 16, 16), noise_clips(1, 3, 3, 6, 16, 16)
    fake[:, :, :2] = real[:, :, :2]
    data = ArrayData(context=2, train=real, val=real)
    values = {}
    for score_context in (True, False):
        suite = MetricSuite({"psnr": PSNR()})
        suite.prepare(data, ProtocolSettings(n_real=3, n_fake=3, score_context=score_context).resolve(data))
        suite.update(fake, real, numbered(0, 1, 2))
        values[score_context] = suite.results()["psnr"]
    assert "6 frames are identical" in values[True].note
    alone = PSNR()
    alone.update(fake[:, :, 2:], real[:, :, 2:], numbered(0, 1, 2))
    of_frames = alone.result().curve
    assert of_frames is not None and of_frames.frame == (0, 1, 2, 3)
    counted = replace(of_frames, frame=(2, 3, 4, 5))  # places in the whole clip
    assert values[False] == replace(alone.result(), curve=counted)


def test_a_frechet_distance_with_and_without_the_context() -> None:
    """Predicted frames 12 levels too bright in each of 3 channels: 3 * 12^2, and with 2 of 6 frames given 3 * 8^2."""
    real = noise_clips(0, 8, 3, 6, 16, 16).clamp_max(200)
    fake = real.clone()
    fake[:, :, 2:] += 12
    data, values = ArrayData(context=2, val=real), {}
    for score_context in (True, False):
        suite = MetricSuite({"frechet[colour]": FrechetDistance(MeanColour())})
        protocol = ProtocolSettings(n_real=8, n_fake=8, score_context=score_context).resolve(data)
        suite.prepare(data, protocol)
        suite.update(fake, real, numbered(*range(8)))
        values[protocol.hash] = suite.results()["frechet[colour]"].value
    # The context spreads both sides alike, so that only the shift of the mean is left.
    assert list(values.values()) == pytest.approx([3 * 8**2, 3 * 12**2], rel=1e-6) and len(values) == 2


def test_context_of_all_frames_leaves_nothing_to_score() -> None:
    real = noise_clips(0, 3, 3, 6, 16, 16)
    with pytest.raises(BenchError, match="none is left to score"):
        ProtocolSettings(score_context=False, frames=3).resolve(ArrayData(context=3, val=real))


@pytest.mark.parametrize(("data", "fake"), [(1, 3), (3, 1)])
def test_channels_must_agree(data: int, fake: int) -> None:
    suite = ready(channels=data)
    with pytest.raises(
        BenchError, match=rf"the method generates clips of \({fake}, 4, 16, 16\).*\({data}, 4, 16, 16\)"
    ):
        suite.update(noise_clips(0, 2, fake, 4, 16, 16), noise_clips(0, 2, data, 4, 16, 16), numbered(0, 1))


@pytest.mark.parametrize("shape", [(3, 5, 16, 16), (3, 4, 32, 32), (3, 4, 16)])
def test_shapes_must_be_the_protocols(shape: tuple[int, ...]) -> None:
    clips = torch.zeros(2, *shape, dtype=torch.uint8)
    with pytest.raises(BenchError, match="the method generates clips of"):
        ready().update(clips, None, numbered(0, 1))
    with pytest.raises(BenchError, match="the data give clips of"):
        ready().update(None, clips, numbered(0, 1))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1.5])
def test_values_outside_the_range_are_refused(bad: float) -> None:
    fake = torch.zeros(2, 3, 4, 16, 16)
    fake[1, 0, 0, 0, 0] = bad
    with pytest.raises(BenchError, match=r"NaN or infinity|must lie in \[-1, 1\]"):
        ready().update(fake, None, numbered(0, 1))


def test_wrong_dtype_is_refused() -> None:
    with pytest.raises(BenchError, match="float clips in"):
        ready().update(torch.zeros(2, 3, 4, 16, 16, dtype=torch.int64), None, numbered(0, 1))


def test_missing_clips_withdraw_the_numbers() -> None:
    suite = ready(n_real=6, n_fake=6)
    suite.update(noise_clips(0, 5, 3, 4, 16, 16), noise_clips(1, 5, 3, 4, 16, 16), numbered(0, 1, 2, 3, 4))
    for column, result in suite.results().items():
        assert result.value is None and result.standard_error is None, column
        assert "scored were 5 generated" in result.note, column


class Failing(VideoMetric):
    uses_real = False
    fingerprint = "fails"

    def __init__(self, name: str, outcome: float | None) -> None:
        super().__init__()
        self.name, self.outcome = name, outcome

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        pass

    def compute(self) -> Tensor:
        raise NotImplementedError

    def result(self) -> MetricResult:
        if self.outcome is None:
            raise BenchError("the tracker found nobody")
        return MetricResult(self.outcome, 0.1, 0, 6, "fails", "a caveat")


def test_one_failing_metric_loses_no_other() -> None:
    metrics: dict[str, VideoMetric] = {
        "tracked": Failing("tracked", None),
        "broken": Failing("broken", float("nan")),
        "acd_color": AverageContentDistance(),
    }
    suite = ready(metrics=metrics)
    suite.update(noise_clips(0, 6, 3, 4, 16, 16), None, numbered(*range(6)))
    results = suite.results()
    assert results["tracked"] == MetricResult(None, None, 0, 0, "fails", "the tracker found nobody")
    assert results["broken"].value is None and results["broken"].note == "the value is nan; a caveat"
    assert results["acd_color"].value is not None


def test_reset_forgets_clips_and_keeps_what_was_prepared() -> None:
    suite = ready()
    fake, real = noise_clips(0, 6, 3, 4, 16, 16), noise_clips(1, 6, 3, 4, 16, 16)
    suite.update(real, fake, numbered(*range(6)))
    suite.results()
    suite.reset()
    suite.update(fake, real, numbered(*range(6)))
    fresh = ready()
    fresh.update(fake, real, numbered(*range(6)))
    assert suite.results() == fresh.results()


def test_after_reset_clips_may_have_another_size() -> None:
    for metric in every_metric().values():
        if isinstance(metric, NearestTrainingClip):
            continue
        for size in (16, 12):
            metric.reset()
            for kinds in ((True, True),) if metric.paired else ((True, False), (False, True)):
                fake, real = (noise_clips(0, 2, 3, 4, size, size) if kind else None for kind in kinds)
                metric.update(fake, real, numbered(0, 1))


def test_inference_mode_and_autocast_move_nothing() -> None:
    fake, real = noise_clips(0, 6, 3, 4, 16, 16), noise_clips(1, 6, 3, 4, 16, 16)
    suite, plain = ready(), ready()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        suite.update(fake, real, numbered(*range(6)))
    plain.update(fake, real, numbered(*range(6)))
    assert suite.results() == plain.results()


def test_a_column_cannot_claim_another_metric() -> None:
    with pytest.raises(BenchError, match=r"evaluate.metrics.fvd: this FrechetDistance measures frechet\[random\]"):
        MetricSuite({"fvd": FrechetDistance(RandomFeatures())})
    MetricSuite({"psnr_60": PSNR(cap=60), "psnr": PSNR()})


def test_prepare_comes_first() -> None:
    with pytest.raises(BenchError, match="prepare"):
        MetricSuite({}).update(None, None, numbered())


def test_clip_numbers_are_exact_up_to_the_largest() -> None:
    clips = noise_clips(0, 2, 3, 4, 8, 8)
    metric = AverageContentDistance()
    metric.update(clips, None, numbered(LARGEST_INDEX - 2, LARGEST_INDEX - 1))
    assert metric.rows("fake").clips == 2
    for wrong in (LARGEST_INDEX, -1):
        with pytest.raises(BenchError, match="clip numbers must lie in"):
            metric.update(clips, None, numbered(0, wrong))


def test_a_state_cast_to_bfloat16_is_refused() -> None:
    metric = AverageContentDistance()
    metric.update(noise_clips(0, 2, 3, 4, 8, 8), None, numbered(0, 1))
    metric.to(torch.bfloat16)
    with pytest.raises(BenchError, match=r"cast to torch\.bfloat16"):
        metric.result()


def test_to_uint8_inverts_to_float_and_rounds() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 1, 16, 16)
    assert torch.equal(to_uint8(as_floats(levels)), levels)
    near = torch.tensor([-1.0005, -1.0, 2 * 100.4 / 255 - 1, 2 * 100.6 / 255 - 1, 1.0005])
    assert to_uint8(near).tolist() == [0, 0, 100, 101, 255]
    assert to_uint8(torch.zeros(0, 3, 4, 8, 8)).shape == (0, 3, 4, 8, 8)
