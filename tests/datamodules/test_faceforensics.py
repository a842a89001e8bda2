import json
from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import BenchError
from datamodules.faceforensics import FaceForensics
from tests.datamodules.published_files import named, read_all, write_video

PAIRS = {"train": [["000", "003"], ["001", "002"]], "val": [["004", "005"]], "test": [["006", "007"]]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ff"
    for number in range(8):
        write_video(root / f"original_sequences/youtube/c23/videos/{number:03}.mp4", 9, codec="mpeg4")
    for target, driver in (("000", "003"), ("003", "000"), ("004", "005"), ("006", "007")):
        write_video(root / f"manipulated_sequences/Deepfakes/c23/videos/{target}_{driver}.mp4", 9, codec="mpeg4")
        masks = root / "manipulated_sequences/Deepfakes/masks/videos"
        masks.mkdir(parents=True, exist_ok=True)
        (masks / f"{target}_{driver}.mp4").touch()  # never opened
    (root / "splits").mkdir()
    for split, pairs in PAIRS.items():
        (root / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    return root


def faces(root: Path, **arguments: Any) -> FaceForensics:
    return FaceForensics(**{"root": str(root), "size": 8, "frames": 8, **arguments})


def test_splits_are_the_lists_of_pairs(root: Path) -> None:
    data = faces(root)
    names = named(data)
    assert {s: {n.removeprefix("original/")[:3] for n in names[s]} for s in names} == {
        "train": {"000", "001", "002", "003"},
        "val": {"004", "005"},
        "test": {"006", "007"},
    }
    assert read_all(data, "val")["original/004.mp4"] == list(range(9))
    assert data.store("val").attributes["subject"].tolist() == [4, 5] == data.store("val").attributes["driver"].tolist()


def test_manipulated_videos_follow_their_pair(root: Path) -> None:
    data = faces(root, sequences=["Deepfakes", "original"])
    store = data.store("train")
    fake = {n: row for row, n in enumerate(store.names) if n.startswith("Deepfakes")}
    assert set(fake) == {"Deepfakes/000_003.mp4", "Deepfakes/003_000.mp4"}
    row = fake["Deepfakes/003_000.mp4"]
    assert {k: int(v[row]) for k, v in store.attributes.items()} == {"category": 0, "subject": 3, "driver": 0}
    assert store.attributes["category"].tolist() == [0] * 2 + [1] * 4
    with pytest.raises(BenchError, match=r"manipulated_sequences/FaceSwap/c23/videos is missing in"):
        faces(root, sequences=["FaceSwap"]).store("train")
    with pytest.raises(BenchError, match=r"sequences: \['deepfakes'\] are none of original, Deepfakes"):
        faces(root, sequences=["deepfakes"])


def test_raw_videos_were_once_called_c0(root: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)youtube/raw/videos is missing in .*Found instead: c23"):
        faces(root, compression="raw").store("train")
    folder = root / "original_sequences/youtube/c23"
    folder.rename(folder.with_name("c0"))
    assert len(faces(root, compression="raw").store("train").names) == 4
    assert (
        faces(root, compression="raw").landmarks_folder("original/003.mp4") == folder.with_name("c0") / "landmarks/003"
    )


def test_a_number_that_no_list_or_two_lists_name_is_an_error(root: Path) -> None:
    write_video(root / "original_sequences/youtube/c23/videos/008.mp4", 9, codec="mpeg4")
    with pytest.raises(BenchError, match=r"008.mp4: the numbers 008 and 008 are in None of .*splits"):
        faces(root).store("train")
    (root / "original_sequences/youtube/c23/videos/008.mp4").unlink()
    write_video(root / "manipulated_sequences/Deepfakes/c23/videos/000_004.mp4", 9, codec="mpeg4")
    with pytest.raises(BenchError, match=r"000_004.mp4: the numbers 000 and 004 are in train, val of"):
        faces(root, sequences=["Deepfakes"]).store("train")


def test_split_files_are_needed_and_checked(root: Path) -> None:
    (root / "splits" / "val.json").write_text("[[720, 672], 3]")
    with pytest.raises(BenchError, match=r"val.json: expected a list of pairs"):
        faces(root).store("train")
    (root / "splits" / "val.json").unlink()
    with pytest.raises(BenchError, match=r"splits/val.json is missing in .*\n.*\nGet it from .*dataset/splits"):
        faces(root).store("train")
