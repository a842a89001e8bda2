import time

import numpy as np
import pytest
from scipy import stats

from datamodules.errors import BenchError
from datamodules.synthetic.shape_motion import ShapeMotion, ShapeMotionStore

DISC_PIXELS = {8: 47, 10: 79, 12: 111, 14: 151}  # counted in the published strips


def store(videos: int = 400, size: int = 64, seed: int = 0, split: str = "train", length: int = 32) -> ShapeMotionStore:
    return ShapeMotionStore(split, videos, size, length, seed)


def whole(shapes: ShapeMotionStore, videos: np.ndarray | None = None) -> np.ndarray:
    """All frames, V T H W 3."""
    videos = np.arange(len(shapes.names)) if videos is None else videos
    return shapes.gather(videos, np.tile(np.arange(shapes.lengths[0]), (len(videos), 1)))


def not_black(clips: np.ndarray) -> np.ndarray:
    return np.greater(clips[..., 0] | clips[..., 1] | clips[..., 2], 0)


def boxes(clips: np.ndarray) -> np.ndarray:
    """Top, left, bottom, right (exclusive) of what is not black: V T 4."""
    lit = not_black(clips)
    rows, columns = lit.max(-1), lit.max(-2)
    ends = [np.argmax(x, -1) for x in (rows, columns)] + [
        clips.shape[2] - np.argmax(x[..., ::-1], -1) for x in (rows, columns)
    ]
    return np.stack(ends, -1)


def test_each_clip_is_one_shape_of_one_colour_on_black() -> None:
    shapes = store(150)
    clips = whole(shapes)
    assert clips.shape == (150, 32, 64, 64, 3) and clips.dtype == np.uint8
    assert clips.transpose(0, 4, 1, 2, 3).flags.c_contiguous  # as clips travel: they are not copied again
    visible = shapes.colours.any(1)
    box = boxes(clips[visible])
    sides = shapes.sides[visible]
    np.testing.assert_array_equal(box[..., 2] - box[..., 0], np.repeat(sides[:, None], 32, 1))
    np.testing.assert_array_equal(box[..., 3] - box[..., 1], np.repeat(sides[:, None], 32, 1))
    lit = not_black(clips)
    assert (clips[lit] == np.broadcast_to(shapes.colours[:, None, None, None], clips.shape)[lit]).all()
    pixels = lit[visible].sum((2, 3))
    square = shapes.attributes["shape"][visible] == 1
    expected = np.where(square, sides**2, [DISC_PIXELS[s] for s in sides.tolist()])
    np.testing.assert_array_equal(pixels, np.repeat(expected[:, None], 32, 1))


def test_the_smallest_disc_pixel_by_pixel() -> None:
    """Its tips stick out below and to the right, as in the published strips."""
    shapes = store()
    video = np.flatnonzero((shapes.sides == 8) & (shapes.attributes["shape"] == 0) & shapes.colours.any(1))[:1]
    clip = whole(shapes, video)
    top, left, bottom, right = boxes(clip)[0, 20]
    drawn = not_black(clip)[0, 20, top:bottom, left:right]
    rows = ["".join(".#"[int(pixel)] for pixel in row) for row in drawn]
    assert rows == [
        ".#####..",
        "#######.",
        "#######.",
        "########",
        "#######.",
        "#######.",
        ".#####..",
        "...#....",
    ]


def test_category_0_goes_up_and_1_left_from_end_to_end() -> None:
    shapes = store(2000)
    category, sides = shapes.attributes["category"], shapes.sides
    corners = shapes.positions(np.arange(2000), np.tile(np.arange(32), (2000, 1)))
    along = np.where(category[:, None] == 0, corners[..., 0], corners[..., 1])
    across = np.where(category[:, None] == 0, corners[..., 1], corners[..., 0])
    np.testing.assert_array_equal(along[:, 0], 62 - sides)
    np.testing.assert_array_equal(along[:, -1], np.ones(2000))
    np.testing.assert_array_equal(across[:, 0], across[:, -1])
    assert (across >= 1).all() and (across <= 62 - sides[:, None]).all()
    assert (across[:, 0] == 1).any() and (across[:, 0] == 62 - sides).any()  # both ends are reached


def test_paths_are_quartic_curves() -> None:
    """Least squares with five control points leaves no more than rounding."""
    shapes = store(100)
    t = np.linspace(0, 1, 32)[:, None]
    curve = stats.binom.pmf(np.arange(5), 4, t)  # the Bernstein polynomials
    corners = shapes.positions(np.arange(100), np.tile(np.arange(32), (100, 1))).transpose(1, 0, 2).reshape(32, -1)
    fitted = curve @ np.linalg.lstsq(curve, corners, rcond=None)[0]
    assert np.abs(fitted - corners).max() < 1 and np.sqrt(((fitted - corners) ** 2).mean()) < 0.29


def test_rounding_is_downwards() -> None:
    shapes = store(3)
    exact = np.einsum("vcp,lp->vlc", shapes.points, stats.binom.pmf(np.arange(5), 4, np.linspace(0, 1, 32)[:, None]))
    corners = shapes.positions(np.arange(3), np.tile(np.arange(32), (3, 1)))
    np.testing.assert_array_equal(corners, np.floor(exact + 1e-9))


def test_a_clip_alone_equals_the_clip_in_a_batch() -> None:
    shapes, rng = store(), np.random.default_rng(0)
    videos, frames = rng.integers(0, 400, 50), rng.integers(0, 32, (50, 7))
    batch = shapes.gather(videos, frames)
    for i in range(50):
        np.testing.assert_array_equal(shapes.gather(videos[i : i + 1], frames[i : i + 1])[0], batch[i])
    assert shapes.gather(videos[:0], frames[:0]).shape == (0, 7, 64, 64, 3)


def test_a_video_depends_on_seed_split_and_number_only() -> None:
    few, many = store(10), store(500)
    np.testing.assert_array_equal(whole(few), whole(many, np.arange(10)))
    np.testing.assert_array_equal(whole(few), whole(store(10)))
    others = [store(10, seed=1), store(10, split="val")]
    assert all(not np.array_equal(few.points, other.points) for other in others)
    digests = [few.digest, store(11).digest, store(10, size=32).digest, store(10, length=16).digest]
    assert len({*digests, *(other.digest for other in others)}) == 6 and store(10).digest == few.digest


def test_draws_are_uniform() -> None:
    shapes = store(8000)
    for counts in (
        np.unique(shapes.sides, return_counts=True)[1],
        np.bincount(shapes.attributes["category"]),
        np.bincount(shapes.attributes["shape"]),
        np.bincount(shapes.attributes["category"] * 2 + shapes.attributes["shape"]),
        np.bincount(shapes.colours[:, 0] // 16),
    ):
        assert stats.chisquare(counts).pvalue > 1e-3, counts


@pytest.mark.parametrize(("size", "sides", "margin"), [(16, {4}, 1), (32, {4, 5, 6, 7}, 1), (128, {16, 20, 24, 28}, 2)])
def test_other_sizes_scale_with_the_frame(size: int, sides: set[int], margin: int) -> None:
    shapes = store(60, size)
    assert set(shapes.sides.tolist()) == sides
    box = boxes(whole(shapes, np.flatnonzero(shapes.colours.any(1))))
    assert box.min() >= margin and box.max() <= size - 2 * margin
    side = min(sides)
    discs = whole(shapes, np.flatnonzero((shapes.attributes["shape"] == 0) & (shapes.sides == side)))[:, 0]
    lit = not_black(discs)
    assert 0.6 * side**2 < lit.sum((1, 2)).max() < 0.9 * side**2  # a disc and no square


def test_the_datamodule_gives_clips_with_exact_attributes() -> None:
    data = ShapeMotion(size=32, train_videos=40, val_videos=8, context=2)
    assert ShapeMotion.gives() == {"video", "attributes"} and data.gives(context=2) == {
        "video",
        "attributes",
        "context",
    }
    batch = data.eval_batch("val", range(8), data.frames, data.stride, seed=0)
    assert batch["video"].shape == (8, 3, 16, 32, 32) and batch["context"].shape == (8, 3, 2, 32, 32)
    videos = [int(name.partition("[")[0].rpartition("/")[2]) for name in batch["name"]]
    assert sorted(videos) == list(range(8))
    val = data.store("val")
    for key in ("category", "shape"):
        assert batch["attributes"][key].tolist() == val.attributes[key][videos].tolist()
    assert [len(data.store(split).names) for split in ("train", "val", "test")] == [40, 8, 256]
    assert data.split_digest("val") == ShapeMotion(size=32, train_videos=41, val_videos=8).split_digest("val")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 8}, "size must be at least 16.*found 8"),
        ({"video_frames": 10}, "video_frames=10 must be at least 2 and frames=16"),
        ({"val_videos": 0}, "val_videos must be at least 1, found 0"),
        ({"frames": 0}, "frames must be at least 1, found 0"),
        ({"stride": 0}, "stride must be at least 1, found 0"),
        ({"context": 16}, r"context must lie in 0\.\.15 \(frames=16\), found 16"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(BenchError, match=rf"data\.init_args\.{message}"):
        ShapeMotion(**arguments)


def test_generating_is_faster_than_any_method_reads() -> None:
    shapes, videos = store(), np.arange(32)
    frames = np.tile(np.arange(0, 32, 2), (32, 1))
    best = min(_cpu_seconds(shapes, videos, frames) for _ in range(10))
    assert 512 / best > 25_000  # frames a second and core


def _cpu_seconds(shapes: ShapeMotionStore, videos: np.ndarray, frames: np.ndarray) -> float:
    start = time.process_time()
    shapes.gather(videos, frames)
    return time.process_time() - start
