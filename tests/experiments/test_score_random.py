"""Random windows of `reelbench score`: which are drawn, what they depend on, and what follows for pairs and keys."""

from pathlib import Path

import numpy as np
import pytest

from experiments.score.random_window import RandomWindow
from tests.experiments.score_files import clip, entries, first, refused, write
from tests.experiments.score_files import own_cache as own_cache
from tests.experiments.test_score_videos import frechet_of, ssim_of

RANDOM = ("--metrics=ssim,frechet_random", "--windows=random", "--frames=4", "--stride=3")
SPAN = 10


def held(length: int, key: str, seed: int = 0, piece: int = 32) -> RandomWindow:
    """The window of a video of `length` frames, each of which shows its own number."""
    window = RandomWindow(SPAN, 3, seed, key)
    frames = np.arange(length, dtype=np.int64).reshape(-1, 1, 1, 1)
    for start in range(0, length, piece):
        window.add(frames[start : start + piece])
    return window


def test_each_window_is_as_likely() -> None:
    starts = np.array([held(SPAN + 4, f"video {n}").start for n in range(2000)])
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert ((counts - 400) ** 2 / 400).sum() < 18.5  # chi-square with 4 degrees of freedom: passed by 99.9 %


@pytest.mark.parametrize("piece", [1, 4, 10, 32])
def test_a_window_is_whole_and_no_matter_how_it_was_read(piece: int) -> None:
    for n in range(20):
        window = held(50, str(n), piece=piece)
        assert window.frames is not None
        assert window.frames.ravel().tolist() == list(range(window.start, window.start + SPAN, 3))
        assert window.start == held(50, str(n)).start


def test_the_ends() -> None:
    assert held(SPAN - 1, "a").frames is None
    assert held(SPAN, "a").start == 0
    assert max(held(SPAN + 2, str(n)).start for n in range(50)) == 2


def test_name_and_seed_decide() -> None:
    drawn = [[held(200, str(n), seed).start for n in range(30)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 20


def test_what_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {"a": 40, "b": 90, "c": 77}
    videos = {side: {k: clip(10 * s + n, lengths[k]) for n, k in enumerate("abc")} for s, side in enumerate("rf")}
    real = write(tmp_path / "real", {f"{k}.npy": v for k, v in videos["r"].items()})
    fake = write(tmp_path / "fake", {f"deep/{k}.mkv": v for k, v in videos["f"].items()})
    found = entries(capsys, real, fake, *RANDOM, "--seed=5")
    starts = {k: held(lengths[k], k, 5).start for k in "abc"}
    assert len(set(starts.values())) > 1
    ours = [first([videos[s][k][starts[k] : starts[k] + SPAN : 3] for k in "abc"], 4) for s in "fr"]
    assert found["ssim"]["value"] == ssim_of(*ours) and found["ssim"]["n"] == 3
    assert found["frechet[random]"]["value"] == pytest.approx(frechet_of(*ours), rel=1e-9)
    told = "3 of 3 real videos are longer: one clip of each counts, drawn by seed 5 and the video's name"
    assert f"{told} (windows: random)" in found["ssim"]["notes"]
    assert (found["ssim"]["protocol"]["windows"], found["ssim"]["protocol"]["seed"]) == ("random", 5)
    # Kept numbers are those of the seed, and of the name: the same content under another is another clip.
    other = entries(capsys, real, fake, *RANDOM, "--seed=6")
    assert other["ssim"]["value"] != found["ssim"]["value"] and other["ssim"]["key"] != found["ssim"]["key"]
    assert entries(capsys, real, fake, *RANDOM, "--seed=5") == found
    for k in "abc":
        (real / f"{k}.npy").rename(real / f"x{k}.npy")
        (fake / f"deep/{k}.mkv").rename(fake / f"deep/x{k}.mkv")
    renamed = entries(capsys, real, fake, *RANDOM, "--seed=5")
    assert renamed["ssim"]["value"] != found["ssim"]["value"] and renamed["ssim"]["key"] != found["ssim"]["key"]


def test_pairs_of_other_lengths_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", {"a.npy": clip(0, 40), "b.npy": clip(1, 200)})
    fake = write(tmp_path / "fake", {"a.npy": clip(2, 40), "b.npy": clip(3, 15)})
    found = entries(capsys, real, fake, *RANDOM)
    assert found["ssim"]["value"] is None
    assert "1 of 2 pairs differ in length, such as b.npy, so that their random windows" in found["ssim"]["reason"]
    assert found["frechet[random]"]["value"] > 0


def test_short_videos_and_the_protocol_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", {"a.npy": clip(0, 40), "b.npy": clip(1, 9)})
    fake = write(tmp_path / "fake", {"a.npy": clip(2, 40)})
    protocol = tmp_path / "mine.yaml"
    protocol.write_text("evaluate: {protocol: {frames: 4, stride: 3, seed: 5}}\nclips: {windows: random}\n")
    found = entries(capsys, real, fake, RANDOM[0], "--protocol", protocol)
    assert found["ssim"]["skipped"] == [{"side": "real", "file": "b.npy", "reason": "has 9 frames, 10 are needed"}]
    assert found["ssim"]["value"] == entries(capsys, real, fake, *RANDOM, "--seed=5")["ssim"]["value"]
    assert "none of the 2 real videos can be used" in refused(capsys, real, fake, *RANDOM, "--frames=15")
