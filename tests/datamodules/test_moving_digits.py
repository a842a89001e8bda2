import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from scipy import stats

from datamodules.base import ClipData, TrainSteps
from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from datamodules.synthetic.bouncing import Rule
from datamodules.synthetic.digit_pool import digit_pool
from datamodules.synthetic.moving_digits import MovingDigits, MovingDigitsStore

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "data"


def store(videos: int = 50, size: int = 64, split: str = "train", seed: int = 0, **arguments: Any) -> MovingDigitsStore:
    return MovingDigitsStore(split, videos, size, 15, seed, digit_pool("drawn", split, 0), **arguments)


def whole(digits: MovingDigitsStore, videos: np.ndarray, frames: int = 15) -> np.ndarray:
    """The first `frames` frames, V T H W C."""
    return digits.gather(videos, np.tile(np.arange(frames), (len(videos), 1)))


def composed(digits: MovingDigitsStore, video: int, frames: int, side: int) -> np.ndarray:
    """T H W, digit by digit and frame by frame, each resized by Pillow."""
    pool = digit_pool("drawn", digits.split, 0)
    at = digits.motion(np.array([video]), np.arange(frames)[None])[0][0]
    out = np.zeros((frames, digits.size, digits.size), dtype=int)
    for shown, path in zip(digits.shown[video], at, strict=True):
        glyph = Image.fromarray(pool.images[shown]).resize((side, side), Image.Resampling.BILINEAR)
        for frame, (y, x) in zip(out, path, strict=True):
            frame[y : y + side, x : x + side] += np.asarray(glyph)
    return np.minimum(out, 255)


@pytest.mark.parametrize(
    ("rule", "size", "side"),
    [("svg", 64, 32), ("svg", 32, 16), ("svg", 128, 64), ("srvp", 64, 28), ("srvp", 32, 14), ("srvp", 16, 7)],
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_frames_are_digits_added_and_clipped(rule: Rule, size: int, side: int, count: int) -> None:
    digits = store(4, size, rule=rule, digits=count)
    clips = whole(digits, np.arange(4), 20)
    assert clips.shape == (4, 20, size, size, 1) and clips.dtype == np.uint8
    for video in range(4):
        np.testing.assert_array_equal(clips[video, ..., 0], composed(digits, video, 20, side))


def test_three_channels_are_equal_and_lie_as_clips_travel() -> None:
    grey, colour = whole(store(5), np.arange(5)), whole(store(5, channels=3), np.arange(5))
    np.testing.assert_array_equal(colour, np.repeat(grey, 3, axis=4))
    for clips in (grey, colour):
        assert clips.transpose(0, 4, 1, 2, 3).flags.c_contiguous


@pytest.mark.parametrize("rule", ["svg", "srvp"])
def test_a_clip_alone_equals_the_clip_in_a_batch(rule: Rule) -> None:
    digits, rng = store(rule=rule), np.random.default_rng(0)
    videos, frames = rng.integers(0, 50, 30), rng.integers(0, 40, (30, 6))
    batch = digits.gather(videos, frames)
    for i in range(30):
        np.testing.assert_array_equal(digits.gather(videos[i : i + 1], frames[i : i + 1])[0], batch[i])
    assert digits.gather(videos[:0], frames[:0]).shape == (0, 6, 64, 64, 1)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("rule", ["svg", "srvp"])
def test_a_video_depends_on_seed_split_and_number_only(rule: Rule, split: str) -> None:
    few, many = store(10, split=split, rule=rule), store(700, split=split, rule=rule)
    videos = np.arange(10)
    np.testing.assert_array_equal(whole(few, videos), whole(many, videos))
    np.testing.assert_array_equal(whole(pickle.loads(pickle.dumps(few)), videos), whole(few, videos))
    others = [store(10, split=split, rule=rule, seed=1), store(10, split="val", rule=rule)]
    assert all((whole(few, videos) != whole(other, videos)).any() for other in others)
    again = store(10, split=split, rule=rule)
    assert again.digest == few.digest and len({few.digest, many.digest, *(o.digest for o in others)}) == 4


def test_what_decides_the_pixels_decides_the_digest() -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"rule": "srvp"},
        {"stochastic": False},
        {"digits": 1},
        {"channels": 3},
        {"size": 32},
        {"seed": 1},
    ]
    assert len({store(10, **kind).digest for kind in kinds}) == len(kinds)
    other = MovingDigitsStore("train", 10, 64, 15, 0, digit_pool("drawn", "val", 0))
    assert other.digest != store(10).digest


def test_digits_are_drawn_with_replacement_except_in_srvp_test_sets() -> None:
    for rule, split in (("svg", "train"), ("svg", "test"), ("srvp", "train")):
        shown = store(2000, split=split, rule=rule).shown
        pool = {"train": 5000, "test": 1000}[split]
        counts = np.bincount(shown.ravel(), minlength=pool)
        assert counts.std() / counts.mean() ** 0.5 == pytest.approx(1, abs=0.1)  # Poisson
    fixed = store(1250, split="test", rule="srvp").shown
    counts = np.bincount(fixed.ravel(), minlength=1000)
    assert counts.tolist() != [2] * 500 + [3] * 500 and sorted(counts) == [2] * 500 + [3] * 500
    assert sorted(fixed[:500].ravel()) == list(range(1000))


def test_attributes_are_the_classes_of_the_digits() -> None:
    digits = store(300, digits=3)
    labels = digit_pool("drawn", "train", 0).labels
    assert list(digits.attributes) == ["digit0", "digit1", "digit2"]
    for i in range(3):
        np.testing.assert_array_equal(digits.attributes[f"digit{i}"], labels[digits.shown[:, i]])
    assert stats.chisquare(np.bincount(store(4000).attributes["digit1"])).pvalue > 1e-3


def test_first_frames_of_training_clips_follow_the_published_start() -> None:
    """From the stream as methods read it: corners uniform over 0..31 along both axes."""
    data = MovingDigits(size=64, frames=2, batch_size=2000, num_digits=1, train_videos=20_000)
    batch = TrainSteps(data, {"clips": StreamSpec()}, 0, 0, 1)[0]
    videos = batch["index"].numpy()
    train: Any = data.store("train")
    corners = train.motion(videos, np.zeros((2000, 1), dtype=np.int64))[0][:, 0, 0]
    expected = train.gather(videos, np.tile([0, 1], (2000, 1)))
    np.testing.assert_array_equal(batch["video"].numpy(), expected.transpose(0, 4, 1, 2, 3))
    for axis in (0, 1):
        assert stats.chisquare(np.bincount(corners[:, axis], minlength=32)).pvalue > 1e-3


def test_evaluation_clips_begin_with_the_video_whatever_their_length() -> None:
    data = MovingDigits(size=32, context=5, test_videos=12)
    batch = data.eval_batch("test", range(12), 30, 1, seed=3)
    assert batch["video"].shape == (12, 1, 30, 32, 32) and batch["context"].shape == (12, 1, 5, 32, 32)
    videos = [int(name.partition("[")[0].rpartition("/")[2]) for name in batch["name"]]
    assert sorted(videos) == list(range(12)) and videos != list(range(12))
    assert {name.partition("[")[2] for name in batch["name"]} == {"0:30]"}
    test: Any = data.store("test")
    np.testing.assert_array_equal(batch["video"].numpy().transpose(0, 2, 3, 4, 1), whole(test, np.array(videos), 30))
    for key in ("digit0", "digit1"):
        assert batch["attributes"][key].tolist() == test.attributes[key][videos].tolist()
    alone = data.eval_batch("test", [7], 30, 1, seed=3)
    assert (alone["video"][0] == batch["video"][7]).all() and alone["name"] == batch["name"][7:8]
    strided = data.eval_batch("test", range(12), 15, 2, seed=3)
    assert (strided["video"] == batch["video"][:, :, ::2]).all()
    assert data.eval_batch("test", [], 30, 1, seed=3)["video"].shape == (0, 1, 30, 32, 32)


def test_the_datamodule_says_what_it_gives() -> None:
    data = MovingDigits(channels=3, train_videos=40, val_videos=8)
    assert (data.channels, data.height, data.width, data.frames, data.name) == (3, 64, 64, 15, "moving_digits")
    assert MovingDigits.gives() == {"video", "attributes", "bounces"}
    assert MovingDigits.gives(context=5) == {"video", "attributes", "bounces", "context"}
    assert [len(data.store(split).names) for split in ("train", "val", "test")] == [40, 8, 5000]
    assert MovingDigits().channels == 1


@pytest.mark.parametrize(
    ("name", "rule", "stochastic"),
    [
        ("moving_digits", "svg", True),
        ("moving_digits_deterministic", "svg", False),
        ("moving_digits_srvp", "srvp", True),
    ],
)
def test_configs_hold_the_published_setting(name: str, rule: str, stochastic: bool) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    data = parser.instantiate(parser.parse_args(["--config", str(CONFIGS / f"{name}.yaml")])).data
    assert isinstance(data, MovingDigits)
    assert (data.rule, data.stochastic, data.digits, data.num_digits) == (rule, stochastic, "drawn", 2)
    assert (data.size, data.channels, data.frames, data.context, data.batch_size) == (64, 1, 15, 5, 100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 8}, "size must be at least 16.*found 8"),
        ({"rule": "mcvd"}, "rule must be one of svg, srvp, found 'mcvd'"),
        ({"channels": 2}, "channels must be 1 or 3, found 2"),
        ({"num_digits": 0}, "num_digits must be at least 1, found 0"),
        ({"val_videos": 0}, "val_videos must be at least 1, found 0"),
        ({"context": 15}, r"context must lie in 0\.\.14 \(frames=15\), found 15"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=rf"data\.init_args\.{message}"):
        MovingDigits(**arguments)


@pytest.mark.parametrize("rule", ["svg", "srvp"])
def test_generating_is_faster_than_any_method_reads(rule: Rule) -> None:
    digits, videos = store(rule=rule), np.arange(50)
    seconds = []
    for _ in range(10):
        start = time.process_time()
        whole(digits, videos)
        seconds.append(time.process_time() - start)
    assert 750 / min(seconds) > 50_000  # frames a second and core


def test_a_bounce_stands_at_the_first_frame_that_shows_where_it_led() -> None:
    """One digit by SVG's rule touches a wall in frame t and has left it in frame t + 1, which has the bounce."""
    digits = store(300, digits=1)
    at, bounces = digits.motion(np.arange(300), np.tile(np.arange(30), (300, 1)))
    at, met = at[:, 0], bounces[:, 0] > 0  # B T 2, B T
    assert met.mean() > 0.08 and not met[:, 0].any()
    before, now = at[:, :-1], at[:, 1:]
    walls = (before == 0) | (before == 31)
    assert walls.any(axis=2)[met[:, 1:]].all()
    away = walls & np.where(before == 0, now > before, now < before)
    assert away.any(axis=2)[met[:, 1:]].all()
    # Elsewhere a digit goes on as before, until it is put back to a wall that it passed.
    straight = ~met[:, 2:] & ~walls[:, 1:].any(axis=2) & ~((now[:, 1:] == 0) | (now[:, 1:] == 31)).any(axis=2)
    np.testing.assert_array_equal((now - before)[:, 1:][straight], (now - before)[:, :-1][straight])


@pytest.mark.parametrize("rule", ["svg", "srvp"])
def test_bounces_of_a_strided_clip_add_up(rule: Rule) -> None:
    digits = store(40, rule=rule)
    videos = np.arange(40)
    every = digits.motion(videos, np.tile(np.arange(25), (40, 1)))[1]
    strided = digits.motion(videos, np.tile(np.arange(0, 25, 3), (40, 1)))[1]
    np.testing.assert_array_equal(strided[..., 1:], every[..., 1:].reshape(40, 2, 8, 3).sum(axis=3))
    later = digits.motion(videos, np.tile(np.arange(7, 20), (40, 1)))[1]
    np.testing.assert_array_equal(later, every[..., 7:20])  # the first frame's are those since the frame before it


def test_a_batch_holds_the_bounces_of_all_its_digits() -> None:
    data = MovingDigits(frames=12, train_videos=20, test_videos=20, batch_size=4)
    batch = data.eval_batch("test", range(20), 20, 1, 0)
    digits = data.store("test")
    assert isinstance(digits, MovingDigitsStore) and batch["bounces"].shape == (20, 20)
    videos = [digits.names.index(name.split("[")[0]) for name in batch["name"]]
    bounces = digits.motion(np.array(videos), np.tile(np.arange(20), (20, 1)))[1]
    np.testing.assert_array_equal(batch["bounces"].numpy(), bounces.sum(axis=1))
    assert to_float(batch)["bounces"].dtype == torch.int64 and int(batch["bounces"].max()) > 1
