import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.ucf101 import Ucf101
from tests.datamodules.published_files import named, numbers, read_all, write_video

STAND = "HandstandPushups/v_HandStandPushups_g{:02}_c{:02}.avi"
LIPS = "ApplyLipstick/v_ApplyLipstick_g{:02}_c{:02}.avi"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes: groups 1 and 2 test in fold 1, 3 and 4 in fold 2."""
    for name in (STAND, LIPS):
        for group in range(1, 5):
            write_video(tmp_path / "ucf" / "UCF-101" / name.format(group, 1), 10)
    lists = tmp_path / "ucf" / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 HandstandPushups\r\n2 ApplyLipstick\r\n")
    for fold, test in ((1, (1, 2)), (2, (3, 4))):
        train = [g for g in range(1, 5) if g not in test]
        rows = [f"{name.format(g, 1)} {label}" for label, name in ((1, STAND), (2, LIPS)) for g in train]
        (lists / f"trainlist{fold:02}.txt").write_text("\r\n".join(rows) + "\r\n")
        (lists / f"testlist{fold:02}.txt").write_text("\n".join(n.format(g, 1) for n in (STAND, LIPS) for g in test))
    return tmp_path / "ucf"


def ucf(root: Path, **arguments: Any) -> Ucf101:
    return Ucf101(**{"root": str(root), "size": 8, "frames": 8, "val": 0, **arguments})


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / "ucfTrainTestlist" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_folds_are_the_lists(root: Path) -> None:
    first, second = ucf(root), ucf(root, fold=2)
    assert set(first.store("test").names) == {n.format(g, 1) for n in (STAND, LIPS) for g in (1, 2)}
    assert set(first.store("test").names) == set(second.store("train").names)
    assert set(second.store("test").names) == set(first.store("train").names)
    assert read_all(first, "test")[LIPS.format(2, 1)] == list(range(10))
    with pytest.raises(BenchError, match=r"ucfTrainTestlist/trainlist03.txt is missing in"):
        ucf(root, fold=3).store("train")
    with pytest.raises(BenchError, match="fold of UCF-101 is 1, 2 or 3, found 0"):
        ucf(root, fold=0)


def test_the_class_is_the_folder_though_files_are_spelt_otherwise(root: Path) -> None:
    data = ucf(root)
    store = data.store("train")
    assert data.categories == ["HandstandPushups", "ApplyLipstick"]  # classInd.txt, not sorted
    assert [data.categories[c] for c in store.attributes["category"]] == [n.partition("/")[0] for n in store.names]
    assert store.attributes["group"].tolist() == [3, 4, 3, 4] and store.attributes["clip"].tolist() == [1] * 4


def test_a_copy_whose_names_were_mended_is_read_too(root: Path) -> None:
    expected = ucf(root).store("train").digest
    folder = root / "UCF-101" / "HandstandPushups"
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("HandStand", "Handstand"))
    folder.rename(folder.with_name("HandStandPushups"))
    assert ucf(root).store("train").digest == expected


def test_groups_are_not_torn_apart(root: Path) -> None:
    for name in (STAND, LIPS):
        for group in range(3, 5):
            for clip in range(2, 6):
                shutil.copy(root / "UCF-101" / name.format(group, 1), root / "UCF-101" / name.format(group, clip))
                with (root / "ucfTrainTestlist" / "trainlist01.txt").open("a") as file:
                    file.write(f"{name.format(group, clip)}\n")
    names = named(ucf(root, val=0.5))
    groups = {split: {n.rpartition("_")[0] for n in names[split]} for split in names}
    assert groups["train"] and groups["val"] and not groups["train"] & groups["val"]
    assert len(names["train"]) + len(names["val"]) == 20 and len(names["test"]) == 4


def test_a_label_that_is_not_the_folders_is_an_error(root: Path) -> None:
    edit(root, "trainlist01.txt", f"{LIPS.format(3, 1)} 2", f"{LIPS.format(3, 1)} 1")
    with pytest.raises(
        BenchError, match=r"trainlist01.txt, line 3: ApplyL.* has number 1, but classInd.txt gives .* 2"
    ):
        ucf(root).store("train")


def test_lists_that_make_no_split_are_errors(root: Path) -> None:
    edit(root, "testlist01.txt", LIPS.format(1, 1), LIPS.format(3, 1))
    with pytest.raises(BenchError, match=r"testlist01.txt, line 3: .*g03_c01.avi is listed twice in fold 1"):
        ucf(root).store("train")
    edit(root, "testlist01.txt", LIPS.format(3, 1), "Lips/v_ApplyLipstick_g01_c01.avi")
    with pytest.raises(BenchError, match=r"line 3: found 'Lips/v.*', expected a class of classInd.txt"):
        ucf(root).store("train")
    edit(root, "classInd.txt", "1 Hand", "0 Hand")
    with pytest.raises(BenchError, match="numbered from 1 without gaps"):
        ucf(root).store("train")


def test_a_listed_video_that_is_not_there_is_named(root: Path) -> None:
    (root / "UCF-101" / STAND.format(1, 1)).unlink()
    with pytest.raises(BenchError, match=r"(?s)1 of 8 files.*v_HandStandPushups_g01_c01.avi: No such file"):
        ucf(root).store("train")


def test_frames_are_scaled_to_85x64_and_cut_to_the_middle(root: Path) -> None:
    wide = np.zeros((8, 240, 320, 3), dtype=np.uint8)
    wide[:, :, :36] = wide[:, :, -36:] = 255  # columns 0..9.56 and 75.4..85 of 85
    write_video(root / "UCF-101" / LIPS.format(1, 1), wide)
    store = ucf(root, size=64).store("test")
    row = store.names.index(LIPS.format(1, 1))
    frame = store.gather(np.array([row]), np.array([[0]]))[0, 0]
    assert frame.shape == (64, 64, 3) and frame.max() == 0
    assert ucf(root, size=64).resize == "area crop"


def test_other_frame_rates_are_read_whole_unless_fps_is_set(root: Path) -> None:
    write_video(root / "UCF-101" / LIPS.format(1, 1), 30, rate=30)
    assert read_all(ucf(root), "test")[LIPS.format(1, 1)] == list(range(30))
    at_25 = read_all(ucf(root, fps=25.0), "test")
    assert len(at_25[LIPS.format(1, 1)]) == 25 and at_25[STAND.format(1, 1)] == list(range(10))


def test_eval_batches(root: Path) -> None:
    batch = ucf(root).eval_batch("test", range(4), 8, 1, 0)
    assert batch["video"].shape == (4, 3, 8, 8, 8) and set(batch["attributes"]) == {"category", "group", "clip"}
    first = numbers(batch["video"][0].numpy().transpose(1, 2, 3, 0))
    assert first == list(range(first[0], first[0] + 8))
