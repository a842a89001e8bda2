"""What the sets of many files do with broken frames, and what the data command says of their caches."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.cached_data import HasCaches
from datamodules.deepfashion import DeepFashion
from datamodules.errors import BenchError
from datamodules.vid2vid_street import Vid2VidStreet
from experiments import cli
from tests.datamodules.frame_files import flat, labels, save
from tests.datamodules.listing import names_in

FRAMES = 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One sequence in each phase; frame t is of level t."""
    for phase, frames in (("train", FRAMES), ("test", 3)):
        for t in range(frames):
            save(tmp_path / f"set/{phase}_B/s/{t}.png", flat(t))
            save(tmp_path / f"set/{phase}_A/s/{t}.png", labels(t))
    return tmp_path / "set"


def streets(root: Path, **arguments: Any) -> Vid2VidStreet:
    given: dict[str, Any] = {"size": (16, 32), "frames": 3, "instances": False, "val": "test"}
    return Vid2VidStreet(root=str(root), **(given | arguments))


def levels(data: Vid2VidStreet, video: int) -> list[int]:
    """Of all frames of a video, as batches show them."""
    at = np.arange(data.store("train").lengths[video])[None]
    video_clip = data.batch("train", np.array([video]), at, np.array([0]))["video"]
    return [int(level) for level in video_clip[0, 0, :, 0, 0]]


def test_a_broken_frame_under_each_policy(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "train_A/s/12.png").write_bytes(b"broken")
    with pytest.raises(
        BenchError, match=r"train: 1 of 40 files cannot be used:\n  train/s/12: .*train_A/s/12\.png: not"
    ):
        streets(root).store("train")
    with caplog.at_level(logging.WARNING):
        skip = streets(root, on_error="skip")
        assert skip.store("train").names == ["train/s/0", "train/s/13"]
    assert "1 of 40 files cannot be used" in caplog.text and "Skipped, as on_error: skip asks" in caplog.text
    assert levels(skip, 0) == [*range(12)] and levels(skip, 1) == [*range(13, FRAMES)]
    cut = streets(root, on_error="truncate")
    assert cut.store("train").names == ["train/s"] and levels(cut, 0) == [*range(12)]
    assert streets(root).store("test").lengths.tolist() == [3]  # another phase has nothing to do with it


def test_what_is_left_of_a_broken_video_must_hold_a_clip(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "train_B/s/1.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        assert streets(root, on_error="skip").store("train").names == ["train/s/2"]
    assert "1 of 2 videos of train have fewer than data.init_args.frames=3 frames and are dropped" in caplog.text
    with pytest.raises(BenchError, match=r"no video of train has data\.init_args\.frames=3 .*\n  train/s: 1 frames"):
        streets(root, on_error="truncate").store("train")


def test_many_broken_frames_are_another_data_set(root: Path) -> None:
    for t in (3, 9, 20):
        (root / f"train_B/s/{t}.png").write_bytes(b"broken")
    with pytest.raises(BenchError, match=r"3 of 40 files cannot be used(.*\n)+on_error: skip tolerates at most 5%"):
        streets(root, on_error="skip").store("train")


def test_one_cache_serves_every_clip_length_and_policy(root: Path, cache_folder: Path) -> None:
    for arguments in ({}, {"frames": 9}, {"stride": 2}, {"on_error": "skip"}):
        streets(root, **arguments).store("train")
    assert len([name for name in names_in(cache_folder) if name != "known"]) == 1


def test_build_and_verify_go_over_all_phases(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "street.yaml"
    config.write_text(
        "data:\n  class_path: datamodules.vid2vid_street.Vid2VidStreet\n  init_args:\n"
        f"    {{root: {root}, size: [16, 32], frames: 3, instances: false, val: test}}\n"
    )
    assert cli.main(["data", "verify", str(config)]) != 0
    assert "reelbench data build makes it" in capsys.readouterr().err
    assert cli.main(["data", "build", str(config)]) == 0
    train, test = capsys.readouterr().out.splitlines()
    assert "cityscapes_vid2vid_train-" in train and train.endswith(
        ": 40 frames, 81.9 kB, 0 skipped, 0 dropped, 0 cut off"
    )
    assert "cityscapes_vid2vid_test-" in test and ": 3 frames" in test
    assert cli.main(["data", "verify", str(config)]) == 0
    assert ": 40 of 40 frames are as they were written\n" in capsys.readouterr().out
    frames = Path(test.partition(": ")[0]) / "frames.u8"
    frames.write_bytes(bytes([frames.read_bytes()[0] ^ 1]) + frames.read_bytes()[1:])
    assert cli.main(["data", "verify", str(config)]) == 1
    said = capsys.readouterr().out
    assert "damaged: test/s/0: its frames have the digest" in said and ": 2 of 3 frames are as" in said


def test_the_command_knows_which_sets_have_caches(root: Path) -> None:
    assert isinstance(streets(root), HasCaches)
    assert isinstance(DeepFashion(root=str(root)), HasCaches)
