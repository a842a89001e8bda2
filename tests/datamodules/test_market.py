import logging
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.market import Market
from datamodules.pose.maps import pg2_mask
from tests.datamodules.pair_files import TORSO, annotate, pictures, pose

SIZE = (128, 64)
PEOPLE = {"0002": 4, "0007": 3, "0010": 2, "0011": 1}


def name(person: str, i: int) -> str:
    return f"{person}_c{1 + i}s1_{451 + i:06}_03.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Training and test people, junk, distractors, a picture without a torso, and one where nobody was found."""
    for part, first in (("train", 0), ("test", 100)):
        names = [name(person, i) for person, count in PEOPLE.items() for i in range(count)]
        names += [name("-1", 0), name("-1", 1), name("0000", 0), name("0000", 1)]
        poses = {n: pose(first + i, *SIZE) for i, n in enumerate(names)}
        poses[name("0002", 3)] = pose(first + 3, *SIZE, missing=TORSO[:1])
        poses[name("0010", 1)] = pose(0, *SIZE, missing=tuple(range(18)))
        annotate(tmp_path / f"market-annotation-{part}.csv", poses)
        folder = tmp_path / f"bounding_box_{part}"
        folder.mkdir()
        pictures(folder, names, *SIZE)
        (folder / "Thumbs.db").touch()
    pairs = [(name("0007", 1), name("0007", 0)), (name("0002", 0), name("0002", 1))]
    lines = "\n".join(f"{a},{b}" for a, b in pairs)
    (tmp_path / "market-pairs-test.csv").write_text(f"from,to\n{lines}\n")
    return tmp_path


def data(root: Path, **arguments: Any) -> Market:
    return Market(**{"root": str(root), **arguments})


def pairs_of(sets: Market, split: str = "train") -> set[tuple[str, str]]:
    return {tuple(entry.split(" -> ")) for entry in sets.store(split).names}  # type: ignore[misc]


def both_orders(*groups: list[str]) -> set[tuple[str, str]]:
    return {pair for group in groups for pair in permutations(group, 2)}


def test_pairs_are_both_orders_of_a_persons_usable_pictures(root: Path) -> None:
    usable = [name("0002", i) for i in range(3)], [name("0007", i) for i in range(3)]
    assert pairs_of(data(root)) == both_orders(*usable)
    somebody = [name("0002", i) for i in range(4)], usable[1]
    assert pairs_of(data(root, train_pairs="pg2")) == both_orders(*somebody)
    with pytest.raises(BenchError, match=r"the file market-pairs-train\.csv is missing .*\nFound instead: b"):
        data(root, train_pairs="file").store("train")


def test_what_a_pair_carries(root: Path) -> None:
    sets = data(root)
    assert sets.gives() == {"video", "pose", "mask", "source", "source_pose", "attributes"}
    batch = sets.eval_batch("test", range(2), 1, 1, 0)
    order = [entry.partition("[")[0] for entry in batch["name"]]
    assert sorted(order) == [f"{name('0002', 0)} -> {name('0002', 1)}", f"{name('0007', 1)} -> {name('0007', 0)}"]
    b = order.index(f"{name('0007', 1)} -> {name('0007', 0)}")
    assert batch["video"].shape == (2, 3, 1, 128, 64) and batch["source"].shape == (2, 3, 128, 64)
    # pictures are numbered through: 0007's first is the fifth
    assert batch["video"][b].unique().tolist() == [5] and batch["source"][b].unique().tolist() == [6]
    np.testing.assert_array_equal(batch["pose"][b, 0, 0], pose(104, *SIZE))
    np.testing.assert_array_equal(batch["source_pose"][b, 0], pose(105, *SIZE))
    assert {k: v[b].item() for k, v in batch["attributes"].items()} == {
        "identity": 3,  # after -1, 0000 and 0002
        "camera": 1,
        "source_camera": 2,
    }
    expected = pg2_mask(torch.from_numpy(pose(104, *SIZE)), *SIZE)
    assert torch.equal(to_float(batch)["mask"][b, 0, 0], expected.float()) and 0 < expected.float().mean() < 1


def test_training_draws_pairs(root: Path) -> None:
    sets = data(root)
    videos = np.arange(12)
    batch = sets.batch("train", videos, np.zeros((12, 1), np.int64), videos)
    assert batch["pose"].shape == (12, 1, 1, 18, 3) and batch["mask"].shape == (12, 1, 1, 128, 64)
    assert (batch["video"].flatten(1)[:, 0] != batch["source"].flatten(1)[:, 0]).all()


def test_the_test_rule_and_the_test_file(root: Path) -> None:
    usable = [name("0002", i) for i in range(3)], [name("0007", i) for i in range(3)]
    assert pairs_of(data(root, test_pairs="rule"), "test") == both_orders(*usable)
    (root / "market-pairs-test.csv").write_text(f"from,to\n{name('0002', 0)},{name('0999', 0)}\n")
    with pytest.raises(BenchError, match=rf"names 1 pictures without annotation, such as {name('0999', 0)}"):
        data(root).store("test")


def test_validation_people_are_held_out(root: Path) -> None:
    with pytest.raises(BenchError, match=r"no pair is in split 'val' with data\.init_args\.val=0\.0"):
        data(root).store("val")
    halves = data(root, val=0.5)
    people = {split: {a.split("_")[0] for a, _ in pairs_of(halves, split)} for split in ("train", "val")}
    assert people["train"] | people["val"] == {"0002", "0007"} and not people["train"] & people["val"]


def test_missing_pictures(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost = name("0007", 2)
    (root / "bounding_box_train" / lost).unlink()
    with pytest.raises(BenchError, match=rf"1 of 6 files cannot be used:\n  {lost}: annotated, but there is no such"):
        data(root).store("train")
    with caplog.at_level(logging.WARNING), pytest.raises(BenchError, match="tolerates at most 5%"):
        data(root, on_error="skip").store("train")


@pytest.mark.parametrize("on_disk", [".jpg", ".jpg.jpg"])
def test_names_that_end_in_jpg_twice(root: Path, on_disk: str) -> None:
    """The annotation has 18 of them."""
    annotation, old = root / "market-annotation-train.csv", name("0007", 1)
    annotation.write_text(annotation.read_text().replace(old, f"{old}.jpg"))
    folder = root / "bounding_box_train"
    (folder / old).rename(folder / old.replace(".jpg", on_disk))
    batch = data(root).batch("train", np.arange(12), np.zeros((12, 1), np.int64), np.arange(12))
    rows = [i for i, entry in enumerate(batch["name"]) if f"-> {old}.jpg[" in entry]
    assert len(rows) == 2 and batch["video"][rows].unique().tolist() == [6]
    assert batch["attributes"]["camera"][rows].tolist() == [2, 2]


def test_patns_folders_and_missing_ones(root: Path) -> None:
    (root / "bounding_box_train").rename(root / "train")
    assert len(pairs_of(data(root))) == 12
    (root / "train").rename(root / "other")
    with pytest.raises(
        BenchError,
        match=r"bounding_box_train or the folder train is missing .*\nFound instead: bounding_box_test, .*\nGet it",
    ):
        data(root).store("train")
    (root / "train").mkdir()
    with pytest.raises(BenchError, match=r"every picture named as 0002_c1s1_000451_03\.jpg is missing"):
        data(root).store("train")


def test_the_digest_is_of_pairs_poses_and_pictures(root: Path) -> None:
    digest = data(root).split_digest("train")
    assert digest == data(root).split_digest("train") != data(root, train_pairs="pg2").split_digest("train")
    text = (root / "market-annotation-train.csv").read_text()
    first = int(pose(0, *SIZE)[0, 1])
    (root / "market-annotation-train.csv").write_text(text.replace(f"[{first},", f"[{(first + 1) % 128},", 1))
    assert digest != data(root).split_digest("train")


def test_pictures_of_another_size_keep_their_poses(root: Path) -> None:
    sets = data(root, size=(64, 32))
    batch = sets.eval_batch("test", range(2), 1, 1, 0)
    b = [entry.startswith("0007") for entry in batch["name"]].index(True)
    np.testing.assert_allclose(batch["pose"][b, 0, 0, :, :2], (pose(104, *SIZE)[:, :2] + 0.5) / 2 - 0.5)


def test_a_broken_picture_takes_its_pairs_with_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = name("0002", 1)
    (root / "bounding_box_train" / broken).write_bytes(b"broken")
    with pytest.raises(BenchError, match=rf"train: 1 of 6 files cannot be used:\n  {broken}: .*{broken}: not an image"):
        data(root).store("train")
    with pytest.raises(BenchError, match="tolerates at most 5%"):
        data(root, on_error="skip").store("train")
    monkeypatch.setattr("datamodules.bad_files.TOLERATED", 0.2)  # of six pictures one is more than 5 %
    sets = data(root, on_error="skip")
    assert pairs_of(sets) == both_orders([name("0002", 0), name("0002", 2)], [name("0007", i) for i in range(3)])
    (root / "bounding_box_train" / broken).unlink()
    batch = sets.batch("train", np.arange(8), np.zeros((8, 1), np.int64), np.arange(8))
    for i, pair in enumerate(batch["name"]):
        for key, which in (("source", 0), ("video", 1)):
            picture = Image.open(root / "bounding_box_train" / pair.partition("[")[0].split(" -> ")[which])
            assert (batch[key][i].reshape(3, -1) == np.array(picture)[0, 0][:, None]).all()  # type: ignore[literal-required]
