"""The generator against the published strips it imitates."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from datamodules.synthetic.shape_motion import ShapeMotionStore

EACH = 250  # strips of each category


class Measured(NamedTuple):
    """What two sets of videos are compared by; V videos of 32 frames."""

    category: np.ndarray
    colour: np.ndarray  # V 3
    side: np.ndarray
    shape: np.ndarray  # the shape's pixels in its box, as text
    along: np.ndarray  # V 32, position of the box in the direction of motion
    across: np.ndarray


def measure(videos: np.ndarray, category: np.ndarray) -> Measured:
    lit = np.greater(videos[..., 0] | videos[..., 1] | videos[..., 2], 0)  # V T H W
    rows, columns = lit.any(3), lit.any(2)
    top, left = rows.argmax(2), columns.argmax(2)
    side = rows.sum(2)
    assert (side == columns.sum(2)).all() and (side == side[:, :1]).all()
    boxes = zip(lit[:, 9], top[:, 9], left[:, 9], side[:, 9], strict=True)
    shapes = [str(frame[y : y + s, x : x + s].astype(int)) for frame, y, x, s in boxes]
    upwards = (category == 0)[:, None]
    along, across = np.where(upwards, top, left), np.where(upwards, left, top)
    return Measured(category, videos[:, 0].max((1, 2)), side[:, 0], np.array(shapes), along, across)


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    return {}


@pytest.fixture
def real(real_data: Path, measured: dict[str, Measured]) -> Measured:
    if "real" not in measured:
        paths = [p for c in "01" for p in sorted((real_data / "shape_motion_strips" / c).iterdir())[:EACH]]
        strips = np.stack([np.array(Image.open(path))[..., :3] for path in paths])
        videos = strips.reshape(-1, 64, 32, 64, 3).transpose(0, 2, 1, 3, 4)
        measured["real"] = measure(videos, np.repeat([0, 1], EACH))
    return measured["real"]


@pytest.fixture
def made(measured: dict[str, Measured]) -> Measured:
    if "made" not in measured:
        shapes = ShapeMotionStore("train", 2 * EACH, 64, 32, seed=0)
        # A video can be black throughout (in both sets, one in 16 million); none is in these.
        videos = shapes.gather(np.arange(2 * EACH), np.tile(np.arange(32), (2 * EACH, 1)))
        measured["made"] = measure(videos, shapes.attributes["category"])
    return measured["made"]


def test_shapes_have_the_same_pixels(real: Measured, made: Measured) -> None:
    kinds = [set(m.shape.tolist()) for m in (real, made)]
    assert kinds[0] == kinds[1] and len(kinds[0]) == 8  # discs and squares of four sides, pixel by pixel
    table = np.array([[np.sum(m.shape == kind) for kind in sorted(kinds[0])] for m in (real, made)])
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_colours_have_the_same_distribution(real: Measured, made: Measured) -> None:
    for channel in range(3):
        assert stats.ks_2samp(real.colour[:, channel], made.colour[:, channel]).pvalue > 1e-3
    # Uniform over 0..255: mean 127.5, standard deviation 73.9; three standard errors of the mean of 500 are 10.
    for m in (real, made):
        assert m.colour.mean(0) == pytest.approx([127.5] * 3, abs=10) and m.colour.std(0) == pytest.approx(
            [73.9] * 3, abs=6
        )


def test_videos_begin_and_end_at_the_same_places(real: Measured, made: Measured) -> None:
    for m in (real, made):
        np.testing.assert_array_equal(m.along[:, 0], 62 - m.side)
        np.testing.assert_array_equal(m.along[:, -1], np.ones(2 * EACH))
        np.testing.assert_array_equal(m.across[:, 0], m.across[:, -1])
    share = [(m.across[:, 0] - 1) / (61 - m.side) for m in (real, made)]
    assert stats.ks_2samp(*share).pvalue > 1e-3
    for values in share:
        assert values.min() < 0.02 and values.max() > 0.98


def test_positions_on_the_way_have_the_same_distribution(real: Measured, made: Measured) -> None:
    for frame in (4, 8, 16, 24, 28):
        assert stats.ks_2samp(real.along[:, frame], made.along[:, frame]).pvalue > 1e-3
        assert stats.ks_2samp(real.across[:, frame], made.across[:, frame]).pvalue > 1e-3


def test_paths_have_the_same_range_and_roughness(real: Measured, made: Measured) -> None:
    for paths in ((real.along, made.along), (real.across, made.across)):
        for describe in (lambda p: np.ptp(p, axis=1), lambda p: np.abs(np.diff(p, axis=1)).sum(1), _curve_residual):
            assert stats.ks_2samp(*(describe(path) for path in paths)).pvalue > 1e-3
        assert [path.min() for path in paths] == [1, 1] and max(path.max() for path in paths) <= 54


def _curve_residual(paths: np.ndarray) -> np.ndarray:
    """What a quartic curve leaves of a path, root mean square: V."""
    curve = stats.binom.pmf(np.arange(5), 4, np.linspace(0, 1, paths.shape[1])[:, None])
    fitted = curve @ np.linalg.lstsq(curve, paths.T, rcond=None)[0]
    return np.sqrt(((fitted - paths.T) ** 2).mean(0))
