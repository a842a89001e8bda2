from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import BenchError
from datamodules.taichi import TaiChi
from tests.datamodules.published_files import named, read_all, write_frames, write_video


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "taichi"
    for recording in ("u6-g_x", "aaa", "bbb", "ccc"):
        for start in (0, 80):
            write_video(root / "train" / f"{recording}#{start:06}#{start + 10:06}.mp4", 10, codec="mpeg4")
    write_frames(root / "test" / "zzz#000000#000009.mp4", 9, "{:07}.png")  # load_videos.py --format .png
    return root


def taichi(root: Path, **arguments: Any) -> TaiChi:
    return TaiChi(**{"root": str(root), "size": 8, "frames": 8, "val": 0, **arguments})


def test_files_and_folders_called_mp4(root: Path) -> None:
    (root / "train" / "._aaa#000000#000010.mp4").touch()  # macOS leaves these behind
    (root / "train" / "notes.txt").touch()
    data = taichi(root)
    assert read_all(data, "test") == {"test/zzz#000000#000009.mp4": list(range(9))}
    assert len(data.store("train").names) == 8
    batch = data.eval_batch("train", range(2), 8, 1, 0)
    assert batch["video"].shape == (2, 3, 8, 8, 8) and set(batch["attributes"]) == {"subject"}


def test_a_recording_is_the_part_before_the_mark(root: Path) -> None:
    data = taichi(root, val=0.5)
    names = named(data)
    recordings = {split: {n.partition("#")[0] for n in names[split]} for split in names}
    assert recordings["val"] and recordings["train"] and not recordings["val"] & recordings["train"]
    assert len(names["val"]) == 2 * len(recordings["val"])
    subjects = dict(zip(data.store("train").names, data.store("train").attributes["subject"].tolist(), strict=True))
    order = ["aaa", "bbb", "ccc", "u6-g_x", "zzz"]
    assert all(order[subject] == name.split("/")[1].partition("#")[0] for name, subject in subjects.items())
    assert data.store("test").attributes["subject"].tolist() == [4]


def test_a_recording_in_both_splits_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_video(root / "test" / "bbb#000200#000210.mp4", 10, codec="mpeg4")
    taichi(root).store("train")
    assert "1 recordings are in train and in test: bbb" in caplog.text


def test_other_layouts_are_named(root: Path) -> None:
    write_video(root / "train" / "without.mp4", 10, codec="mpeg4")
    with pytest.raises(BenchError, match=r"the recording's id and # in the names of without.mp4 is missing in .*train"):
        taichi(root).store("train")
    (root / "train").rename(root / "training")
    with pytest.raises(BenchError, match=r"(?s)Tai-Chi: train/\*.mp4 is missing in .*Found instead: test, training"):
        taichi(root).store("train")
