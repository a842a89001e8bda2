import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import BenchError
from metrics.features.resize import Rule, resize, tf1_weights

# By hand, of the ramp 0, 1, 2, ...: output i looks at i * n_in / n_out (tf1), or at (i + 1/2) * n_in / n_out - 1/2.
RAMPS = {
    (2, 4, "tf1"): [0, 0.5, 1, 1],
    (2, 4, "half_pixel"): [0, 0.25, 0.75, 1],
    (2, 4, "antialias"): [0, 0.25, 0.75, 1],
    (4, 7, "tf1"): [0, 4 / 7, 8 / 7, 12 / 7, 16 / 7, 20 / 7, 3],
    (4, 7, "half_pixel"): [0, 5 / 14, 13 / 14, 21 / 14, 29 / 14, 37 / 14, 3],
    (4, 7, "antialias"): [0, 5 / 14, 13 / 14, 21 / 14, 29 / 14, 37 / 14, 3],
    (4, 2, "tf1"): [0, 2],
    (4, 2, "half_pixel"): [0.5, 2.5],
    # A triangle of half-width 2 around 0.5: 3/4 3/4 1/4, cut off at the border: (0 + 1 * 3 + 2 * 1) / 7 ...
    (4, 2, "antialias"): [5 / 7, 16 / 7],
}


@pytest.mark.parametrize(("inputs", "outputs", "rule"), RAMPS)
@pytest.mark.parametrize("axis", [2, 3])
def test_ramps_by_hand(inputs: int, outputs: int, rule: Rule, axis: int) -> None:
    ramp = torch.arange(inputs, dtype=torch.float64)
    frames = ramp.expand(1, 2, 3, inputs) if axis == 3 else ramp[:, None].expand(1, 2, inputs, 3)
    size = (3, outputs) if axis == 3 else (outputs, 3)
    expected = torch.tensor(RAMPS[inputs, outputs, rule], dtype=torch.float64)
    expected = expected.expand(1, 2, *size) if axis == 3 else expected[:, None].expand(1, 2, *size)
    torch.testing.assert_close(resize(frames.contiguous(), size, rule), expected, rtol=1e-6, atol=1e-6)


def test_tf1_of_both_axes_equals_its_formula() -> None:
    frames = torch.rand(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    found = resize(frames, (9, 11), "tf1")
    for i, j in ((0, 0), (3, 7), (8, 10), (5, 2)):
        y, x = i * 5 / 9, j * 8 / 11
        top, left = int(y), int(x)
        below, right = min(top + 1, 4), min(left + 1, 7)
        upper = frames[..., top, left] * (1 - x + left) + frames[..., top, right] * (x - left)
        lower = frames[..., below, left] * (1 - x + left) + frames[..., below, right] * (x - left)
        torch.testing.assert_close(found[..., i, j], upper * (1 - y + top) + lower * (y - top))


def test_antialias_is_pillows() -> None:
    frame = np.random.default_rng(0).random((37, 53), dtype=np.float32)
    expected = np.asarray(Image.fromarray(frame).resize((20, 16), Image.Resampling.BILINEAR))
    found = resize(torch.from_numpy(frame)[None, None], (16, 20), "antialias")[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("rule", ["tf1", "half_pixel", "antialias"])
def test_equal_sizes_and_flat_frames_stay_as_they_are(rule: Rule) -> None:
    frames = torch.rand(1, 3, 6, 7)
    assert torch.equal(resize(frames, (6, 7), rule), frames)
    flat = resize(torch.full((1, 1, 5, 5), 255.0), (224, 17), rule)
    torch.testing.assert_close(flat, torch.full((1, 1, 224, 17), 255.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 5), (64, 224), (256, 224), (7, 7)])
def test_weights_of_every_output_add_to_one(inputs: int, outputs: int) -> None:
    weights = tf1_weights(inputs, outputs)
    assert weights.shape == (outputs, inputs) and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(outputs))


def test_wrong_input_is_named() -> None:
    with pytest.raises(BenchError, match="resize must be one of tf1, half_pixel, antialias, found 'area'"):
        resize(torch.zeros(1, 1, 2, 2), (4, 4), "area")  # type: ignore[arg-type]
    with pytest.raises(BenchError, match=r"floating point N C H W, got torch.uint8"):
        resize(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), (4, 4), "tf1")
    with pytest.raises(BenchError, match=r"floating point N C H W, got torch.float32 \(1, 2, 2\)"):
        resize(torch.zeros(1, 2, 2), (4, 4), "tf1")
