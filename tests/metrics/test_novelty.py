import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.novelty import Diversity, NearestTrainingClip, mean_pairwise, nearest_distance, thumbnails
from metrics.protocol import Protocol, ProtocolSettings
from tests.metrics.array_data import ArrayData, noise_clips, numbered


def rms(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).square().mean().sqrt())


def pooled(clip: Tensor, grid: int, frames: list[int]) -> Tensor:
    """By hand: C T H W -> the chosen frames averaged over equal blocks."""
    c, _, h, w = clip.shape
    return clip[:, frames].double().reshape(c, len(frames), grid, h // grid, grid, w // grid).mean(dim=(3, 5))


def setting(train: Tensor, val: Tensor, **settings: int) -> tuple[ArrayData, Protocol]:
    data = ArrayData(train=train, val=val)
    return data, ProtocolSettings(**settings).resolve(data)  # type: ignore[arg-type]


def test_thumbnail_distance_is_rms_of_block_means() -> None:
    clips = noise_clips(0, 2, 3, 7, 16, 24)
    rows = thumbnails(clips, 8, 3)
    assert rows.shape == (2, 3 * 3 * 8 * 8)
    a, b = (pooled(c, 8, [0, 3, 6]) for c in clips)
    assert float((rows[0] - rows[1]).norm()) == pytest.approx(rms(a, b), rel=1e-6)


def test_units_are_levels_whatever_the_size_and_channels() -> None:
    for shape in ((1, 1, 4, 8, 8), (1, 3, 9, 40, 30), (1, 3, 1, 4, 4)):
        low, high = torch.full(shape, 20, dtype=torch.uint8), torch.full(shape, 27, dtype=torch.uint8)
        assert float((thumbnails(low, 16, 4) - thumbnails(high, 16, 4)).norm()) == pytest.approx(7, rel=1e-5)


def test_copies_have_distance_zero() -> None:
    train = noise_clips(0, 30, 3, 4, 32, 32)
    data, protocol = setting(train, noise_clips(1, 4, 3, 4, 32, 32))
    metric = NearestTrainingClip()
    metric.prepare(data, protocol)
    metric.update(train[[17, 3, 29]], None, numbered(0, 1, 2))
    result = metric.result()
    assert (result.value, result.standard_error) == (0.0, 0.0)
    assert "120 training clips (4 a video)" in result.fingerprint


def test_many_near_duplicates_do_not_hide_a_copy() -> None:
    # Differences far below what the matrix form can resolve: 64 clips that differ by one level in one pixel.
    train = noise_clips(0, 1, 3, 4, 16, 16).repeat(64, 1, 1, 1, 1)
    train.view(64, -1)[torch.arange(64), torch.arange(64)] ^= 1
    rows = thumbnails(train, 16, 4)
    assert nearest_distance(rows, rows).max() < 0.05
    copied, near, far = rows[5], rows[5] + 1e-3, rows[5] + 0.5
    exact = torch.cdist(torch.stack([copied, near, far]), rows, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
    found = nearest_distance(torch.stack([copied, near, far]), rows)
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=0.05)


def test_a_copy_from_another_place_of_the_video_is_found_by_more_windows() -> None:
    train = noise_clips(0, 5, 3, 12, 8, 8)
    data, _ = setting(train, train)
    protocol = ProtocolSettings(frames=4).resolve(data)
    distances = []
    for windows in (1, 60):
        metric = NearestTrainingClip(windows=windows)
        metric.prepare(data, protocol)
        metric.update(train[:, :, 3:7], None, numbered(*range(5)))
        distances.append(metric.result().value)
    assert distances[0] and distances[1] == 0


def test_nearest_equals_the_definition_written_out() -> None:
    train, fake, real = (
        noise_clips(0, 9, 3, 4, 16, 16),
        noise_clips(1, 5, 3, 4, 16, 16),
        noise_clips(2, 3, 3, 4, 16, 16),
    )
    data, protocol = setting(train, real)
    metric = NearestTrainingClip(grid=4, frames=2)
    metric.prepare(data, protocol)
    metric.update(fake, None, numbered(*range(5)))
    metric.update(None, real, numbered(*range(3)))
    of = {
        name: [min(rms(pooled(c, 4, [0, 3]), pooled(t, 4, [0, 3])) for t in train) for c in clips]
        for name, clips in (("fake", fake), ("real", real))
    }
    result = metric.result()
    assert result.value == pytest.approx(np.mean(of["fake"]), rel=1e-5)
    assert result.standard_error == pytest.approx(np.std(of["fake"], ddof=1) / math.sqrt(5), rel=1e-4)
    searched = "searched 36 clips of 9 of 9 training videos"
    expected = f"{searched}; real clips: {np.mean(of['real']):.4g} +- {np.std(of['real'], ddof=1) / math.sqrt(3):.2g}"
    assert result.note == expected
    assert (result.n_fake, result.n_real) == (5, 3)
    assert metric.higher_is_better is None


def test_windows_and_max_train_bound_the_training_clips() -> None:
    data, protocol = setting(noise_clips(0, 6, 3, 9, 8, 8), noise_clips(1, 4, 3, 9, 8, 8), frames=3)
    counts = []
    for windows, most in ((1, 100), (3, 100), (3, 7)):
        metric = NearestTrainingClip(windows=windows, max_train=most)
        metric.prepare(data, protocol)
        counts.append(len(metric.train_rows))
    assert counts == [6, 18, 7]
    again = NearestTrainingClip(windows=3, max_train=7)
    again.prepare(data, protocol)
    assert torch.equal(again.train_rows, metric.train_rows)
    assert again.fingerprint == metric.fingerprint
    some = NearestTrainingClip(max_train=4)
    some.prepare(data, protocol)
    some.update(noise_clips(2, 2, 3, 3, 8, 8), None, numbered(0, 1))
    assert some.result().note == "searched 4 clips of 4 of 6 training videos"


def test_training_clips_lose_their_context_too() -> None:
    train = noise_clips(0, 6, 3, 8, 8, 8)
    data = ArrayData(context=3, train=train, val=train)
    protocol = ProtocolSettings(score_context=False).resolve(data)
    metric = NearestTrainingClip()
    metric.prepare(data, protocol)
    metric.update(train[:, :, 3:], None, numbered(*range(6)))
    assert metric.result().value == 0


class Counting(ArrayData):
    reads = 0

    def eval_batch(self, split: str, index: range | list[int], frames: int, stride: int, seed: int) -> VideoBatch:
        self.reads += 1
        return super().eval_batch(split, index, frames, stride, seed)


def test_training_clips_are_read_once_and_survive_reset() -> None:
    train = noise_clips(0, 6, 3, 4, 8, 8)
    data = Counting(train=train, val=train)
    protocol = ProtocolSettings().resolve(data)
    metric = NearestTrainingClip()
    for _ in range(3):
        metric.reset()
        metric.prepare(data, protocol)
    assert data.reads == 1
    metric.update(train, None, numbered(*range(6)))
    assert metric.result().value == 0
    metric.prepare(data, ProtocolSettings(seed=1).resolve(data))
    assert data.reads == 2


def test_prepare_must_come_first() -> None:
    with pytest.raises(BenchError, match=r"prepare.* has not been called"):
        NearestTrainingClip().update(noise_clips(0, 1, 3, 4, 8, 8), None, numbered(0))


def test_identical_samples_have_no_diversity() -> None:
    metric = Diversity()
    metric.update(noise_clips(0, 1, 3, 4, 32, 32).expand(6, -1, -1, -1, -1), None, numbered(*range(6)))
    result = metric.result()
    assert (result.value, result.standard_error, result.note) == (0.0, 0.0, "")


def test_diversity_equals_the_definition_written_out() -> None:
    fake, real = noise_clips(0, 5, 3, 4, 16, 16), noise_clips(1, 4, 3, 4, 16, 16)
    metric = Diversity(grid=4, frames=2)
    metric.update(fake, None, numbered(*range(5)))
    metric.update(None, real, numbered(*range(4)))
    small = [pooled(c, 4, [0, 3]) for c in fake]
    expected = np.mean([rms(a, b) for a, b in itertools.combinations(small, 2)])
    result = metric.result()
    assert result.value == pytest.approx(expected, rel=1e-5)
    of_real = np.mean([rms(a, b) for a, b in itertools.combinations([pooled(c, 4, [0, 3]) for c in real], 2)])
    assert result.note.startswith(f"real clips: {of_real:.4g} +- ")
    assert metric.higher_is_better is None


def test_error_of_mean_pairwise_is_the_jackknife() -> None:
    rows = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    value, error = mean_pairwise(rows)
    without = [mean_pairwise(torch.cat([rows[:i], rows[i + 1 :]]))[0] for i in range(7)]
    assert error == pytest.approx(math.sqrt(6 / 7 * np.square(np.array(without) - np.mean(without)).sum()), rel=1e-5)
    assert value == pytest.approx(np.mean(without), rel=1e-5)
    assert mean_pairwise(rows[:2])[1] is None


def test_too_few_clips_give_no_number() -> None:
    diversity = Diversity()
    diversity.update(noise_clips(0, 1, 3, 4, 8, 8), None, numbered(0))
    assert diversity.result().value is None and "at least 2" in diversity.result().note
    assert NearestTrainingClip().result().value is None


@pytest.mark.parametrize("key", ["grid", "frames"])
def test_wrong_sizes_are_named(key: str) -> None:
    for kind in (Diversity, NearestTrainingClip):
        with pytest.raises(BenchError, match=f"{key} must be at least 1, found 0"):
            kind(**{key: 0})
    with pytest.raises(BenchError, match="max_train must be at least 1"):
        NearestTrainingClip(max_train=0)
