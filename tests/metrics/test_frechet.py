import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from datamodules.errors import BenchError
from metrics.bank import Rows
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance, fit, frechet_distance, from_moments, jackknife_error
from tests.metrics.array_data import MeanColour, noise_clips, numbered


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(x: Tensor, y: Tensor, ddof: int = 1) -> float:
    return frechet_distance(fit(x, ddof), fit(y, ddof))


@pytest.mark.parametrize("dims", [8, 64, 400])
@pytest.mark.parametrize(("condition", "tolerance"), [(1e2, 1e-13), (1e8, 1e-11), (1e14, 1e-8)])
def test_closed_form_of_rotated_diagonal_covariances(dims: int, condition: float, tolerance: float) -> None:
    # Commuting covariances: |m|^2 + sum (sqrt a - sqrt b)^2
    a = torch.logspace(0, -math.log10(condition), dims, dtype=torch.float64)
    b = a.flip(0) * 3
    mean = normal(0, dims)
    expected = float(mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    rotation = torch.linalg.qr(normal(1, dims, dims)).Q
    for turn in (torch.eye(dims, dtype=torch.float64), rotation):
        first = from_moments(torch.zeros(dims), turn @ a.diag() @ turn.T)
        second = from_moments(mean, turn @ b.diag() @ turn.T)
        assert frechet_distance(first, second) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("count", [2, 16, 64, 2048])
@pytest.mark.parametrize("dims", [3, 64, 400])
def test_identical_features_give_zero(count: int, dims: int) -> None:
    x = 10 + normal(0, count, dims)
    assert abs(distance(x, x.clone())) < 1e-10


@pytest.mark.parametrize("count", [20, 200])  # fewer and more than dims: both factors
def test_laws(count: int) -> None:
    x, y = normal(0, count, 64), 0.3 + 1.5 * normal(1, count + 7, 64)
    value = distance(x, y)
    assert distance(y, x) == pytest.approx(value, rel=1e-12)
    assert distance(5 * x, 5 * y) == pytest.approx(25 * value, rel=1e-12)
    rotation = torch.linalg.qr(normal(2, 64, 64)).Q
    assert distance(x @ rotation, y @ rotation) == pytest.approx(value, rel=1e-11)
    shift = normal(3, 64)
    assert distance(x, x + shift) == pytest.approx(float(shift.square().sum()), rel=1e-11)


def test_rank_one_closed_form() -> None:
    # Covariances s^2 u u^T and t^2 v v^T: s^2 + t^2 - 2 s t |u.v|
    u, v = normal(0, 32), normal(1, 32)
    u, v = u / u.norm(), v / v.norm()
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) * (3 * u)  # covariance 18 u u^T with ddof 1
    y = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) * (2 * v)  # 8 v v^T
    expected = 18 + 8 - 2 * math.sqrt(18 * 8) * abs(float(u @ v))
    assert distance(x, y) == pytest.approx(expected, rel=1e-12)


def test_both_factors_agree_for_singular_covariances() -> None:
    x, y = normal(0, 30, 64), normal(1, 40, 64)
    through_moments = frechet_distance(from_moments(x.mean(0), x.T.cov()), from_moments(y.mean(0), y.T.cov()))
    # Through moments an eigenvalue that should be 0 is 1e-16, and its root 1e-8.
    assert distance(x, y) == pytest.approx(through_moments, rel=1e-7)


@pytest.mark.parametrize("ddof", [0, 1])
def test_equals_numpy_covariance_and_scipy_root(ddof: int) -> None:
    x, y = normal(0, 300, 24), 0.1 + normal(1, 200, 24) @ normal(2, 24, 24)
    cx, cy = np.cov(x.numpy(), rowvar=False, ddof=ddof), np.cov(y.numpy(), rowvar=False, ddof=ddof)
    shift = (x.mean(0) - y.mean(0)).square().sum().item()
    expected = shift + np.trace(cx + cy - 2 * scipy.linalg.sqrtm(cx @ cy).real)
    assert distance(x, y, ddof) == pytest.approx(expected, rel=1e-9)


class Flat(nn.Module):
    num_features = 12

    def forward(self, images: Tensor) -> Tensor:
        return images.double().flatten(1)


def test_equals_torchmetrics_fid() -> None:
    clips = noise_clips(0, 60, 3, 1, 2, 2), noise_clips(1, 70, 3, 1, 2, 2)
    fid = FrechetInceptionDistance(feature=Flat(), normalize=False).set_dtype(torch.float64)
    for real, images in zip((False, True), clips, strict=True):
        fid.update(images[:, :, 0], real=real)
    ours = distance(clips[0].double().flatten(1), clips[1].double().flatten(1))
    assert ours == pytest.approx(float(fid.compute()), rel=1e-8)


@pytest.fixture
def parity() -> Path:
    if "REELBENCH_PARITY" not in os.environ:
        pytest.skip("REELBENCH_PARITY is not set: no published Frechet distances to compare with")
    return Path(os.environ["REELBENCH_PARITY"])


@pytest.mark.parametrize(("ddof", "expected"), [(1, 10.138081), (0, 10.062786)])
def test_published_fvd_of_noise_clips(parity: Path, ddof: int, expected: float) -> None:
    # TensorFlow's FVD of the same clips is 10.138085.
    with np.load(parity / "fvd_noise_features.npz") as features:
        x, y = torch.from_numpy(features["1"]), torch.from_numpy(features["2"])
    assert x.shape == (128, 400)
    assert distance(x, y, ddof) == pytest.approx(expected, abs=6e-7)


def test_parity_of_moments_and_samples(parity: Path) -> None:
    arrays = {k: torch.from_numpy(v) for k, v in load_file(parity / "metrics_frechet_inception.safetensors").items()}
    sidecar = json.loads((parity / "metrics_frechet_inception.json").read_text())
    expected = sidecar["scalars_float64"]
    given = {k.removeprefix("input/"): v for k, v in arrays.items() if k.startswith("input/")}
    for dims in ("d16", "d64"):
        first, second = (from_moments(given[f"mean{i}_{dims}"], given[f"cov{i}_{dims}"]) for i in (1, 2))
        assert frechet_distance(first, second) == pytest.approx(expected[f"frechet_{dims}"], rel=1e-11)
        assert abs(frechet_distance(first, first)) < sidecar["suggested_atol"][f"frechet_self_{dims}"]
    samples = distance(given["samples1"], given["samples2"])
    assert samples == pytest.approx(expected["frechet_d16_from_samples"], rel=1e-11)
    low_rank = distance(given["lowrank1"], given["lowrank2"])
    # The reference takes roots of eigenvalues that should be 0 and are 1e-16.
    assert low_rank == pytest.approx(expected["frechet_eig_lowrank"], rel=1e-7)


def rows(values: Tensor) -> Rows:
    return Rows(values, torch.arange(len(values)), len(values))


def test_jackknife_is_leave_one_out_where_groups_hold_one_clip() -> None:
    x, y = normal(0, 9, 1), 1 + 2 * normal(1, 9, 1)
    left_out = []
    for i in range(9):  # 1-D: (mean difference)^2 + (difference of standard deviations)^2
        a, b = np.delete(x.numpy(), i), np.delete(y.numpy(), i)
        left_out.append((a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2)
    expected = math.sqrt(8 / 9 * np.square(np.array(left_out) - np.mean(left_out)).sum())
    assert jackknife_error(rows(x), rows(y), 1, 16) == pytest.approx(expected, rel=1e-10)


def test_jackknife_matches_the_spread_over_fresh_samples() -> None:
    pairs = [(normal(2 * k, 256, 4), 0.7 + 1.3 * normal(2 * k + 1, 256, 4)) for k in range(40)]
    spread = np.std([distance(x, y) for x, y in pairs], ddof=1)
    errors = [jackknife_error(rows(x), rows(y), 1, 16) for x, y in pairs[:10]]
    assert np.mean([e for e in errors if e is not None]) == pytest.approx(spread, rel=0.25)


def test_all_frames_of_a_clip_leave_together() -> None:
    x, y = normal(0, 8, 2), normal(1, 8, 2)
    thrice = Rows(x.repeat_interleave(3, 0), torch.arange(8).repeat_interleave(3), 8)
    other = Rows(y.repeat_interleave(3, 0), torch.arange(8).repeat_interleave(3), 8)
    assert jackknife_error(thrice, other, 0, 16) == pytest.approx(jackknife_error(rows(x), rows(y), 0, 16), rel=1e-9)


def test_no_jackknife_below_three_clips_or_without_groups() -> None:
    x = normal(0, 9, 2)
    assert jackknife_error(rows(x[:2]), rows(x), 1, 16) is None
    assert jackknife_error(rows(x), rows(x), 1, 0) is None


def test_metric_is_the_distance_of_its_features() -> None:
    fake, real = noise_clips(0, 7, 3, 4, 6, 6), noise_clips(1, 9, 3, 4, 6, 6)
    for level in ("clip", "frame"):
        metric = FrechetDistance(MeanColour(level))
        metric.update(fake[:3], None, numbered(0, 1, 2))
        metric.update(fake[3:], None, numbered(3, 4, 5, 6))
        metric.update(None, real, numbered(*range(9)))
        dims = (3, 4) if level == "frame" else (2, 3, 4)
        x, y = (c.double().mean(dims).transpose(1, -1).reshape(-1, 3) for c in (fake, real))
        result = metric.result()
        assert result.value == pytest.approx(distance(x, y), rel=1e-5)
        assert float(metric.compute()) == result.value
        assert (result.n_fake, result.n_real, result.note) == (7, 9, "")
        assert result.standard_error is not None


def test_order_duplicates_and_batches_move_nothing() -> None:
    fake, real = noise_clips(0, 6, 3, 4, 6, 6), noise_clips(1, 6, 3, 4, 6, 6)
    one, other = FrechetDistance(MeanColour("frame")), FrechetDistance(MeanColour("frame"))
    one.update(fake, None, numbered(*range(6)))
    one.update(None, real, numbered(*range(6)))
    for i in (5, 1, 0, 3, 2, 4, 0, 5):
        other.update(fake[i : i + 1], None, numbered(i))
        other.update(None, real[i : i + 1], numbered(i))
    other.update(fake[:0], None, numbered())
    assert one.result() == other.result()


def test_merged_metrics_are_one() -> None:
    fake, real = noise_clips(0, 6, 3, 4, 6, 6), noise_clips(1, 6, 3, 4, 6, 6)
    whole, parts = FrechetDistance(MeanColour()), [FrechetDistance(MeanColour()) for _ in range(2)]
    whole.update(fake, None, numbered(*range(6)))
    whole.update(None, real, numbered(*range(6)))
    for part, where in zip(parts, (slice(0, 2), slice(2, 6)), strict=True):
        part.update(fake[where], None, numbered(*range(6)[where]))
        part.update(None, real[where], numbered(*range(6)[where]))
    parts[0].merge_state(parts[1])
    assert parts[0].result() == whole.result()


def test_frames_per_clip_are_evenly_spaced() -> None:
    clips = noise_clips(0, 4, 3, 7, 6, 6)
    some = FrechetDistance(MeanColour("frame"), frames_per_clip=3).describe(clips)
    assert torch.equal(some, MeanColour("frame")(clips)[:, [0, 3, 6]])


def test_names_and_fingerprints() -> None:
    clip, frame = FrechetDistance(RandomFeatures("clip")), FrechetDistance(RandomFeatures("frame"), frames_per_clip=2)
    assert (clip.name, frame.name) == ("frechet[random]", "frechet_frame[random]")
    others = [
        FrechetDistance(RandomFeatures("clip"), ddof=0),
        FrechetDistance(RandomFeatures("clip", seed=1)),
        FrechetDistance(RandomFeatures("clip", num_features=64)),
        FrechetDistance(RandomFeatures("frame")),
        frame,
    ]
    assert len({clip.fingerprint, *(m.fingerprint for m in others)}) == 6
    assert clip.fingerprint == FrechetDistance(RandomFeatures("clip"), jackknife_groups=4).fingerprint


def test_few_clips_are_marked_or_refused() -> None:
    metric = FrechetDistance(RandomFeatures("clip", num_features=16))
    metric.update(noise_clips(0, 5, 3, 4, 8, 8), None, numbered(*range(5)))
    metric.update(None, noise_clips(1, 1, 3, 4, 8, 8), numbered(0))
    refused = metric.result()
    assert refused.value is None and "at least 2 clips" in refused.note
    assert (refused.n_fake, refused.n_real) == (5, 1)
    with pytest.raises(BenchError, match=r"frechet\[random\]: needs at least 2 clips"):
        metric.compute()
    metric.update(None, noise_clips(2, 4, 3, 4, 8, 8), numbered(1, 2, 3, 4))
    marked = metric.result()
    assert marked.value is not None and marked.note == "fewer than 16 dims: 5 clips"


@pytest.mark.parametrize("kind", ["fake", "real"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_give_no_number(kind: str, bad: float) -> None:
    metric = FrechetDistance(MeanColour())
    metric.update(noise_clips(0, 3, 3, 4, 8, 8), None, numbered(0, 1, 2))
    metric.update(None, noise_clips(1, 3, 3, 4, 8, 8), numbered(0, 1, 2))
    metric.put(kind, torch.tensor([3]), torch.tensor([[1.0, bad, 1.0]]))
    assert metric.result().value is None and "NaN" in metric.result().note


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(BenchError, match="ddof must be 0 or 1, found 2"):
        FrechetDistance(MeanColour(), ddof=2)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="frames_per_clip = 4"):
        FrechetDistance(MeanColour("clip"), frames_per_clip=4)
    with pytest.raises(BenchError, match="jackknife_groups"):
        FrechetDistance(MeanColour(), jackknife_groups=-1)
    with pytest.raises(BenchError, match="needs clips of at least 5 frames, found 4"):
        metric = FrechetDistance(MeanColour("frame"), frames_per_clip=5)
        metric.update(noise_clips(0, 3, 3, 4, 8, 8), None, numbered(0, 1, 2))


def moving_squares(count: int) -> Tensor:
    """Squares of one colour each, moving right by one pixel a frame."""
    rng = torch.Generator().manual_seed(7)
    clips = torch.zeros(count, 3, 8, 24, 24, dtype=torch.uint8)
    for clip in clips:
        row, start = (int(i) for i in torch.randint(0, 10, (2,), generator=rng))
        colour = torch.randint(60, 256, (3, 1, 1), generator=rng, dtype=torch.uint8)
        for t in range(8):
            clip[:, t, row : row + 6, start + t : start + t + 6] = colour
    return clips


def measured(metric: FrechetDistance, fake: Tensor, real: Tensor) -> float:
    metric.reset()
    metric.update(fake, None, numbered(*range(len(fake))))
    metric.update(None, real, numbered(*range(len(real))))
    value = metric.result().value
    assert value is not None
    return value


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_random_features_rise_with_noise(level: str) -> None:
    clips = moving_squares(80)
    metric = FrechetDistance(RandomFeatures(level, num_features=16), jackknife_groups=0)  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(3)
    noise = torch.randn(clips.shape, generator=rng)
    values = [
        measured(metric, (clips + sigma * noise).clamp(0, 255).round().to(torch.uint8), clips)
        for sigma in (0, 4, 8, 16, 32, 64)
    ]
    assert abs(values[0]) < 1e-10
    assert values == sorted(values) and values[1] > 1e-6


def test_clip_features_see_the_order_of_frames_and_frame_features_do_not() -> None:
    clips = moving_squares(60)
    shuffled = clips[:, :, [3, 6, 0, 7, 2, 5, 1, 4]]
    clip = FrechetDistance(RandomFeatures("clip", num_features=16), jackknife_groups=0)
    frame = FrechetDistance(RandomFeatures("frame", num_features=16), jackknife_groups=0)
    assert measured(clip, shuffled, clips) > 1e-3
    assert abs(measured(frame, shuffled, clips)) < 1e-9
