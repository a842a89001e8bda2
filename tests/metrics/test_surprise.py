"""Means at events and elsewhere: known answers, plain loops, and an error that holds for clips that differ."""

import math

import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from datamodules.synthetic.moving_digits import MovingDigits
from experiments.surprise_picture import picture
from lightning_modules.surprise import surprise_of
from metrics.surprise import around_events
from tests.helpers.predictors import Oracle, TinyPredictor


def test_by_hand() -> None:
    nan = math.nan
    series = torch.tensor([[nan, 1.0, 5.0, 2.0], [nan, 7.0, 3.0, 4.0]])
    events = torch.tensor([[1, 0, 2, 0], [0, 1, 0, 0]])
    found = around_events(series, events, reach=2)
    assert (found.at.value, found.at.frames) == (6.0, 2)  # 5 and 7; the event in the first frame has no number
    assert (found.elsewhere.value, found.elsewhere.frames) == (2.5, 4)
    assert (found.difference.value, found.difference.frames) == (3.5, 6)
    assert (found.offsets, found.clips, found.events) == ((-2, -1, 0, 1, 2), 2, 2)
    assert [mean.value for mean in found.around] == [None, 1.0, 6.0, 2.0, 4.5]
    assert [mean.frames for mean in found.around] == [0, 1, 2, 3, 2]


def test_means_equal_loops_over_frames() -> None:
    rng = np.random.default_rng(0)
    series, events = rng.normal(size=(40, 12)), rng.random((40, 12)) < 0.2
    found = around_events(torch.from_numpy(series), torch.from_numpy(events), reach=3)
    for offset, mean in zip(found.offsets, found.around, strict=True):
        near = [series[n, t + offset] for n, t in zip(*np.nonzero(events), strict=True) if 0 <= t + offset < 12]
        assert mean.value == pytest.approx(np.mean(near)) and mean.frames == len(near)
    assert found.at.value == pytest.approx(series[events].mean())
    assert found.elsewhere.value == pytest.approx(series[~events].mean())


def test_errors_are_those_of_repeated_draws() -> None:
    """Frames of a clip share a level, so that counting them as independent would be off by a factor of 3."""
    rng = np.random.default_rng(1)
    drawn: dict[str, list[tuple[float, float]]] = {"at": [], "elsewhere": [], "difference": []}
    for _ in range(300):
        level = rng.normal(size=(60, 1))
        events = rng.random((60, 15)) < 0.2
        series = level + 0.3 * rng.normal(size=(60, 15)) + events
        found = around_events(torch.from_numpy(series), torch.from_numpy(events))
        for name, values in drawn.items():
            mean = getattr(found, name)
            values.append((mean.value, mean.standard_error))
    for name, values in drawn.items():
        spread, told = np.std([v for v, _ in values]), np.mean([e for _, e in values])
        assert told == pytest.approx(spread, rel=0.15), name
    assert np.mean([v for v, _ in drawn["difference"]]) == pytest.approx(1, abs=0.02)


def test_a_method_that_knows_the_bounces() -> None:
    data = MovingDigits(size=16, frames=12, context=2, test_videos=60, train_videos=4, val_videos=4)
    found = surprise_of(Oracle(frames=12), data, "bounces", "test", 60, 12, 3, seed=0)
    assert found.at.value == 2 and found.at.standard_error == 0
    assert found.around[3].value == 2 and found.events > 50 and found.clips == 60
    assert found.around[4].value is not None and 2.5 < found.around[4].value <= 3  # 2 where it bounced again
    batch = data.eval_batch("test", range(60), 12, 1, 0)
    met = batch["bounces"].numpy() > 0
    after = np.pad(met, ((0, 0), (1, 0)))[:, :-1] & ~met
    assert found.elsewhere.value == pytest.approx((1 + 2 * after[:, 1:])[~met[:, 1:]].mean())


@pytest.mark.parametrize(
    ("series", "events", "said"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), r"\(2, 3\) and events \(2, 4\) must both be clips x frames"),
        (torch.full((1, 2), math.inf), torch.ones(1, 2), "2 of 2 frames have an infinite number"),
        (torch.zeros(2, 3), torch.zeros(2, 3), "none is with an event"),
        (torch.zeros(2, 3), torch.ones(2, 3), "none is without an event"),
        (torch.full((2, 3), math.nan), torch.eye(2, 3), "of 0 frames that have a number none is with"),
    ],
)
def test_refused(series: torch.Tensor, events: torch.Tensor, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        around_events(series, events)


def test_what_cannot_be_measured_is_said() -> None:
    data = MovingDigits(size=16, frames=6, test_videos=4, train_videos=4, val_videos=4)
    with pytest.raises(BenchError, match="events flow: moving_digits gives attributes, bounces, video"):
        surprise_of(TinyPredictor(), data, "flow", "test", 4, 6, 1, 0)
    with pytest.raises(BenchError, match="events video: one number a clip and frame is needed"):
        surprise_of(TinyPredictor(), data, "video", "test", 4, 6, 1, 0)


def test_the_picture_has_its_peak_at_the_event() -> None:
    events = torch.zeros(30, 11)
    events[:, 5] = 1
    series = 0.1 * torch.randn(30, 11, generator=torch.Generator().manual_seed(0)) + 3 * events
    drawn = picture(around_events(series, events), "bounces").astype(int)
    height, width, _ = drawn.shape
    blue = (np.abs(drawn - [26, 92, 168]).sum(axis=2) == 0).nonzero()
    top = blue[1][blue[0] == blue[0].min()].mean()
    assert (
        abs(top - (62 * 2 + (width - 76 * 2) / 2)) < 4 and blue[0].min() < height / 3 < 2 * height / 3 < blue[0].max()
    )
