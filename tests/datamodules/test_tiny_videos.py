from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.tiny_videos import TinyReader, TinyVideos
from tests.datamodules.published_files import levels, named, read_all
from tests.datamodules.strip_files import save_strip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five videos of two clips each, 40 frames or 20."""
    root = tmp_path / "tiny"
    paths = [f"{video % 2}/v{video}.mp4/{clip:04}.jpg" for video in range(5) for clip in range(2)]
    for path in paths:
        frames = 40 if path.endswith("0000.jpg") else 20
        save_strip(root / "frames-stable-many" / path, levels(frames, 16, 16), vertical=True)  # PNG, as exact as needed
    (root / "golf.txt").write_text("\n".join(paths[:6]) + "\n\n")
    (root / "beach.txt").write_text("\n".join(f"{path} 17 more" for path in paths[6:]))
    return root


def tiny(root: Path, **arguments: Any) -> TinyVideos:
    return TinyVideos(**{"root": str(root), "size": 8, "val": 0, "test": 0, **arguments})


def test_the_first_32_frames_and_the_last_repeated(root: Path) -> None:
    found = read_all(tiny(root), "train")
    assert len(found) == 6
    assert found["0/v0.mp4/0000.jpg"] == list(range(32))
    assert found["0/v0.mp4/0001.jpg"] == [*range(20), *[19] * 12]
    whole = read_all(tiny(root, first=None, frames=16), "train")
    assert whole["0/v0.mp4/0000.jpg"] == list(range(40)) and whole["0/v0.mp4/0001.jpg"] == list(range(20))
    with pytest.raises(BenchError, match="first must be at least 1"):
        tiny(root, first=0)


def test_scenes_are_categories_and_only_the_first_field_is_read(root: Path) -> None:
    data = tiny(root, scenes=["beach", "golf"])
    store = data.store("train")
    assert len(store.names) == 10 and "1/v3.mp4/0000.jpg" in store.names
    assert store.attributes["category"].tolist() == [0] * 4 + [1] * 6
    assert len(tiny(root, limit=2).store("train").names) == 2
    with pytest.raises(
        BenchError, match=r"(?s)hospital.txt is missing in .*Found instead: beach.txt, frames-stable-many"
    ):
        tiny(root, scenes=["hospital"]).store("train")
    (root / "beach.txt").write_text((root / "golf.txt").read_text())
    with pytest.raises(BenchError, match="is also in another scene's list"):
        tiny(root, scenes=["beach", "golf"]).store("train")
    (root / "golf.txt").write_text("\n")
    with pytest.raises(BenchError, match=r"golf.txt is empty"):
        tiny(root).store("train")


def test_a_file_that_cannot_be_read_is_named_and_never_black(root: Path) -> None:
    path = root / "frames-stable-many" / "0/v0.mp4/0001.jpg"
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(BenchError, match=r"0/v0.mp4/0001.jpg: not a readable image"):
        tiny(root).store("train")
    path.unlink()
    with pytest.raises(BenchError, match=r"0/v0.mp4/0001.jpg: .*No such file"):
        tiny(root).store("train")
    save_strip(path, levels(20, 16, 16))
    with pytest.raises(BenchError, match=r"0001.jpg: 320x16 pixels: frames should lie one below the other"):
        tiny(root).store("train")


def test_clips_of_one_video_stay_together(root: Path) -> None:
    names = named(tiny(root, scenes=["golf", "beach"], val=0.3, test=0.3))
    videos = [{n.rpartition("/")[0] for n in names[split]} for split in names]
    assert all(videos) and len(set().union(*videos)) == sum(map(len, videos)) == 5
    assert sum(map(len, names.values())) == 10


def test_lists_beside_the_strips_and_strips_of_one_frame(root: Path) -> None:
    expected = tiny(root).store("train").digest
    (root / "golf.txt").rename(root / "frames-stable-many" / "golf.txt")
    assert tiny(root).store("train").digest == expected
    assert tiny(root / "frames-stable-many").store("train").digest == expected
    save_strip(root / "one.jpg", levels(1, 16, 16), vertical=True)
    assert TinyReader(8, 8).read(root / "one.jpg").shape == (32, 8, 8, 3)
    assert (TinyReader(8, 8).count(root / "one.jpg"), TinyReader(8, 8, first=None).count(root / "one.jpg")) == (32, 1)
    with pytest.raises(BenchError, match="channels, fit and fps of tiny videos cannot be changed"):
        tiny(root, channels=1)


def test_frames_are_averaged(root: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
    save_strip(root / "noise.png", video, vertical=True)
    box = video.reshape(32, 8, 2, 8, 2, 3).mean((2, 4))
    assert np.abs(TinyReader(8, 8).read(root / "noise.png") - box).max() <= 1
