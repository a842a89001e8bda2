import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.errors import BenchError
from metrics.content import AverageContentDistance, mean_colours, pairwise_distance
from tests.metrics.array_data import noise_clips, numbered


def discs(colours: Tensor, size: int = 16) -> Tensor:
    """A square of a given colour per clip and frame (B T C) that moves; black elsewhere."""
    clips = torch.zeros(*colours.shape[:2], colours.shape[2], size, size, dtype=torch.uint8)  # B T C H W
    for t in range(colours.shape[1]):
        clips[:, t, :, 2 + t : 6 + t, 3 : 8 + t] = colours[:, t, :, None, None].to(torch.uint8)
    return clips.transpose(1, 2)


def colours(seed: int, *shape: int) -> Tensor:
    return torch.randint(40, 256, shape, generator=torch.Generator().manual_seed(seed))


def scored(clips: Tensor, threshold: int = 32) -> AverageContentDistance:
    metric = AverageContentDistance(threshold)
    metric.update(clips, None, numbered(*range(len(clips))))
    return metric


def test_constant_colour_is_exactly_zero() -> None:
    result = scored(discs(colours(0, 6, 1, 3).expand(-1, 5, -1))).result()
    assert (result.value, result.standard_error, result.note) == (0.0, 0.0, "")
    assert (result.n_fake, result.n_real) == (6, 0)


def test_shuffled_identities_are_far_from_zero() -> None:
    value = scored(discs(colours(0, 6, 5, 3))).result().value
    assert value is not None and value > 50


def test_equals_the_definition_written_out() -> None:
    tints = colours(1, 4, 6, 3)
    of_clips = [
        np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(clip, 2)]) for clip in tints.double().numpy()
    ]
    result = scored(discs(tints)).result()
    assert result.value == pytest.approx(np.mean(of_clips), rel=1e-6)
    assert result.standard_error == pytest.approx(np.std(of_clips, ddof=1) / 2, rel=1e-5)


def test_mean_colour_of_textured_objects() -> None:
    clips = noise_clips(0, 3, 3, 4, 9, 9)
    means, valid = mean_colours(clips, 120)
    frames = clips.permute(0, 2, 3, 4, 1).reshape(3, 4, 81, 3).double().numpy()
    for b, t in itertools.product(range(3), range(4)):
        inside = frames[b, t][frames[b, t].max(axis=1) > 120]
        assert bool(valid[b, t]) == bool(len(inside))
        np.testing.assert_allclose(means[b, t].numpy(), inside.mean(axis=0) if len(inside) else 0, rtol=1e-13)


def test_closed_form_of_two_colours() -> None:
    # k frames of one colour, T - k of another: k (T - k) of T (T - 1) / 2 pairs are apart
    a, b = torch.tensor([200, 100, 40]), torch.tensor([60, 90, 240])
    tints = torch.stack([a, a, b, b, b])[None]
    expected = 6 / 10 * float((a - b).double().norm())
    assert scored(discs(tints)).result().value == pytest.approx(expected, rel=1e-6)


def test_threshold_is_exclusive_and_on_the_largest_channel() -> None:
    at = discs(torch.tensor([[[32, 5, 0], [32, 0, 9]]]))
    assert scored(at).result().value is None
    above = discs(torch.tensor([[[33, 5, 0], [0, 0, 33]]]))
    assert scored(above).result().value == pytest.approx((33**2 + 5**2 + 33**2) ** 0.5, rel=1e-6)
    assert scored(at, threshold=31).result().value is not None
    assert "> 31," in AverageContentDistance(31).fingerprint


def test_missing_frames_and_clips_are_counted_and_left_out() -> None:
    tints = colours(2, 3, 4, 3)
    clips = discs(tints)
    clips[0, :, 1] = 20  # one frame of clip 0
    clips[2, :, 1:] = 0  # all but one of clip 2
    kept = [tints[0, [0, 2, 3]], tints[1]]
    of_clips = [np.mean([float((a - b).double().norm()) for a, b in itertools.combinations(k, 2)]) for k in kept]
    result = scored(clips).result()
    assert result.value == pytest.approx(np.mean(of_clips), rel=1e-6)
    assert result.note == "missing: 1 of 3 clips, 4 frames without a pixel above 32"
    assert result.n_fake == 3


def test_black_clips_give_no_number() -> None:
    result = scored(torch.zeros(3, 3, 4, 8, 8, dtype=torch.uint8)).result()
    assert result.value is None and "3 of 3 clips" in result.note
    assert AverageContentDistance().result().value is None


def test_grey_counts_as_three_equal_channels() -> None:
    tints = colours(3, 3, 4, 1)
    assert scored(discs(tints)).result() == scored(discs(tints.expand(-1, -1, 3))).result()


def test_real_clips_are_not_looked_at() -> None:
    metric = scored(discs(colours(0, 2, 4, 3)))
    before = metric.result()
    metric.update(None, discs(colours(1, 2, 4, 3)), numbered(5, 6))
    assert metric.result() == before


def test_pairs_of_invalid_frames_do_not_enter() -> None:
    features = torch.tensor([[[0.0], [100.0], [3.0], [7.0]]], dtype=torch.float64)
    mean, missing = pairwise_distance(features, torch.tensor([[True, False, True, True]]))
    assert float(mean) == pytest.approx((3 + 7 + 4) / 3)
    assert int(missing) == 1


@pytest.mark.parametrize("threshold", [-1, 255])
def test_threshold_outside_its_range(threshold: int) -> None:
    with pytest.raises(BenchError, match=r"threshold must lie in 0..254"):
        AverageContentDistance(threshold)


def test_real_shape_motion_strips() -> None:
    if "REELBENCH_DATA" not in os.environ:
        pytest.skip("REELBENCH_DATA is not set: no shape motion strips")
    folder = Path(os.environ["REELBENCH_DATA"]) / "shape_motion_strips"
    strips = [file for category in "01" for file in sorted((folder / category).iterdir())[:25]]
    frames = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in strips])  # B 64 32*64 3
    clips = torch.from_numpy(frames).reshape(50, 64, 32, 64, 3).permute(0, 4, 2, 1, 3)[:, :, ::2]  # B C T H W
    result = scored(clips).result()
    assert result.value == pytest.approx(0, abs=1e-9)
    assert result.n_fake == 50
    assert result.note == ""
