from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import BenchError
from datamodules.kth import ACTIONS, SPLITS, Kth, read_sequences
from tests.datamodules.published_files import SPLITS as NAMES
from tests.datamodules.published_files import read_all, write_frames, write_video

LIST = """Sequences of the KTH database
person01_boxing_d1\t\tframes\t1-12, 13-20, 15-22

person21_boxing_d2 frames 3-14
person13_handclapping_d3 *missing*
person02_handclapping_d1 frames\t1-12
person02_handwaving_d1 frames 1-12
person02_jogging_d1 frames 1-12
person02_running_d1 frames 1-12
person02_walking_d1 frames 1-12
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "kth"
    write_video(root / "boxing" / "person01_boxing_d1_uncomp.avi", 24)
    write_video(root / "boxing" / "person21_boxing_d2_uncomp.avi", 16)
    for action in ACTIONS[1:]:
        write_video(root / action / f"person02_{action}_d1_uncomp.avi", 12)
    (root / "00sequences.txt").write_text(LIST)
    return root


def kth(root: Path, **arguments: Any) -> Kth:
    return Kth(**{"root": str(root), "size": 8, "frames": 8, "val": 0, **arguments})


def test_subsequences_are_counted_from_1_with_both_ends_and_may_overlap(root: Path) -> None:
    data = kth(root)
    train = read_all(data, "train")
    assert train["boxing/person01_boxing_d1[0:12]"] == list(range(12))
    assert train["boxing/person01_boxing_d1[12:20]"] == list(range(12, 20))
    assert train["boxing/person01_boxing_d1[14:22]"] == list(range(14, 22))
    assert read_all(data, "test") == {"boxing/person21_boxing_d2[2:14]": list(range(2, 14))}
    batch = data.eval_batch("test", range(2), 8, 1, 0)
    assert batch["video"].shape == (2, 1, 8, 8, 8) and data.channels == 1
    assert {key: value.tolist() for key, value in batch["attributes"].items()} == {
        "category": [0, 0],
        "subject": [21, 21],
        "scenario": [2, 2],
    }


def test_whole_videos_need_no_list(root: Path) -> None:
    (root / "00sequences.txt").unlink()
    data = kth(root, split="srvp")
    assert read_all(data, "test") == {"boxing/person21_boxing_d2": list(range(16))}
    assert len(data.store("train").names) == 6
    with pytest.raises(BenchError, match=r"KTH: 00sequences.txt is missing in .*kth\nFound instead: boxing, handcl"):
        kth(root).store("train")
    assert kth(root, split="svg", sequences=False).store("train").digest == data.store("train").digest


def test_subsequences_shorter_than_a_clip_are_dropped_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = kth(root, frames=10)
    assert {n for n in data.store("train").names if "person01" in n} == {"boxing/person01_boxing_d1[0:12]"}
    assert "2 of 9 videos are dropped" in caplog.text and "8 frames, fewer than min_frames=10" in caplog.text


def test_what_is_missing_is_named(root: Path) -> None:
    (root / "jogging" / "person02_jogging_d1_uncomp.avi").rename(root / "jogging" / "person03_jogging_d1_uncomp.avi")
    with pytest.raises(BenchError, match=r"(?s)jogging/person02_jogging_d1\[0:12\]: No such file"):
        kth(root).store("train")
    (root / "jogging" / "person03_jogging_d1_uncomp.avi").unlink()
    with pytest.raises(BenchError, match=r"KTH: jogging/person01_jogging_d1_uncomp.avi is missing"):
        kth(root).store("train")


def cut_off(root: Path) -> None:
    path = write_video(root / "boxing" / "person01_boxing_d4_uncomp.avi", 40)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    (root / "00sequences.txt").write_text(LIST + "person01_boxing_d4 frames 1-10, 11-40\n")


def test_the_file_that_is_published_cut_off_loses_its_last_subsequence(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off(root)
    data = kth(root)
    assert [n for n in data.store("train").names if "boxing_d4" in n] == ["boxing/person01_boxing_d4[0:10]"]
    assert "boxing/person01_boxing_d4[10:40]: its file is published cut off" in caplog.text
    whole = read_all(kth(root, split="srvp"), "train")["boxing/person01_boxing_d4"]
    assert whole == list(range(len(whole))) and 10 < len(whole) < 40
    write_video(root / "boxing" / "person01_boxing_d4_uncomp.avi", 40)  # a copy that was mended
    assert read_all(kth(root), "train")["boxing/person01_boxing_d4[10:40]"] == list(range(10, 40))


def test_any_other_file_that_is_cut_off_is_an_error(root: Path) -> None:
    path = root / "boxing" / "person01_boxing_d1_uncomp.avi"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.raises(BenchError, match=r"(?s)boxing/person01_boxing_d1\[14:22\]: "):
        kth(root).store("train")


def test_files_may_lie_beside_each_other_or_be_folders_of_frames(root: Path) -> None:
    expected = kth(root).store("train").digest
    for path in sorted(root.glob("*/*.avi")):
        path.rename(root / path.name)
        path.parent.rmdir() if not any(path.parent.iterdir()) else None
    assert kth(root).store("train").digest == expected
    (root / "person02_running_d1_uncomp.avi").unlink()
    write_frames(root / "person02_running_d1", range(12), "image-{:03}_64x64.png")
    assert read_all(kth(root), "train")["running/person02_running_d1[0:12]"] == list(range(12))


@pytest.mark.parametrize("split", SPLITS)
def test_people_of_the_splits(split: str) -> None:
    people = SPLITS[split]
    everyone = [*people.train, *people.val, *people.test]
    assert sorted(everyone) == list(range(1, 26))  # nobody twice, nobody left out
    sizes = {"svg": (20, 0, 5), "srvp": (20, 0, 5), "savp": (16, 0, 9), "openstl": (16, 0, 9), "icpr": (8, 8, 9)}
    assert (len(people.train), len(people.val), len(people.test)) == sizes[split]
    with pytest.raises(BenchError, match="split of KTH is one of svg, srvp"):
        Kth(split="cvpr")  # type: ignore[arg-type]


def test_published_validation_people_are_used_and_no_others_drawn(root: Path) -> None:
    with (root / "00sequences.txt").open("a") as file:
        file.write("".join(f"person{person}_boxing_d1 frames 1-12\n" for person in range(11, 19)))
    for person in range(11, 19):
        write_video(root / "boxing" / f"person{person}_boxing_d1_uncomp.avi", 12)
    people = {s: set(kth(root, split="icpr", val=0.5).store(s).attributes["subject"].tolist()) for s in NAMES}
    assert people == {"train": set(range(11, 19)), "val": {1, 21}, "test": {2}}
    drawn = kth(root, val=0.5)
    files = {split: {n.partition("[")[0] for n in drawn.store(split).names} for split in ("train", "val")}
    assert files["train"] and files["val"] and not files["train"] & files["val"]  # a file's parts stay together
    assert drawn.store("test").digest == kth(root).store("test").digest
    with pytest.raises(BenchError, match=r"in split 'val' with data\.init_args\.split: svg and data\.init_args\.val=0"):
        kth(root).store("val")


@pytest.mark.parametrize("line", ["frames 1-", "frames 12-4", "frames 0-4", "frame 1-4", "frames 1-4 5-8", "frames"])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "00sequences.txt"
    path.write_text(f"Title\nperson01_boxing_d1 frames 1-4\nperson02_boxing_d1 {line}\n")
    with pytest.raises(BenchError, match=r"00sequences.txt, line 3: found 'person02_boxing_d1"):
        read_sequences(path)
    path.write_text("Title\n")
    with pytest.raises(BenchError, match="names no sub-sequence"):
        read_sequences(path)
