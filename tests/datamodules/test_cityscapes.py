from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.cityscapes import Cityscapes
from datamodules.errors import BenchError
from tests.datamodules.frame_files import flat, instances, labels, save


def snippet(root: Path, split: str, city: str, sequence: int, first: int, level: int, frames: int = 30) -> None:
    """Frames whose grey level is `level` plus their place; the 20th is annotated."""
    for i in range(frames):
        name = f"{city}_{sequence:06}_{first + i:06}"
        save(root / f"leftImg8bit_sequence/{split}/{city}/{name}_leftImg8bit.png", flat(level + i))
        if i == 19 and split != "test":
            save(root / f"gtFine/{split}/{city}/{name}_gtFine_labelIds.png", labels(level))
            save(root / f"gtFine/{split}/{city}/{name}_gtFine_instanceIds.png", instances(labels(level)))
            (root / f"gtFine/{split}/{city}/{name}_gtFine_color.png").touch()
            (root / f"gtFine/{split}/{city}/{name}_gtFine_polygons.json").touch()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """aachen numbers its snippets by sequence; all snippets of hamburg bear one sequence number."""
    place = tmp_path_factory.mktemp("cityscapes")
    snippet(place, "train", "aachen", 0, 0, 0)
    snippet(place, "train", "aachen", 1, 0, 40)
    snippet(place, "train", "hamburg", 0, 100, 80)
    snippet(place, "train", "hamburg", 0, 1000, 120)
    snippet(place, "val", "frankfurt", 0, 275, 160)
    snippet(place, "test", "berlin", 0, 0, 200)
    return place


def data(root: Path, **arguments: Any) -> Cityscapes:
    return Cityscapes(**{"root": str(root), "size": (16, 32), **arguments})


def test_snippets_are_runs_of_consecutive_frames(root: Path) -> None:
    sets = data(root)
    store = sets.store("train")
    assert store.names == [
        "train/aachen_000000",
        "train/aachen_000001",
        "train/hamburg_000000/hamburg_000000_000100",
        "train/hamburg_000000/hamburg_000000_001000",
    ]
    assert store.lengths.tolist() == [30] * 4
    clips = store.gather(np.arange(4), np.tile(np.arange(30), (4, 1)))
    np.testing.assert_array_equal(clips[:, :, 0, 0, 0], np.array([[0], [40], [80], [120]]) + np.arange(30))
    assert sets.gives() == {"video"} and sets.tracks == frozenset()
    assert sets.store("test").names == ["val/frankfurt_000000"]


def test_one_frame_of_a_snippet_is_annotated(root: Path) -> None:
    sets = data(root, annotated=True, frames=1)
    assert Cityscapes.gives(annotated=True) == {"video", "labels", "instances"}
    batch = sets.eval_batch("train", range(4), 1, 1, 0)
    assert sorted(batch["name"])[2] == "train/hamburg_000000_000119[0:1]"
    for i in range(4):
        level = int(batch["video"][i, 0, 0, 0, 0]) - 19
        np.testing.assert_array_equal(batch["labels"][i, 0], labels(level))
        np.testing.assert_array_equal(batch["instances"][i, 0], instances(labels(level)))
    assert batch["instances"].max() > 24000


def test_annotated_pictures_of_their_own_folder_come_first(root: Path, tmp_path: Path) -> None:
    for city in ("aachen",):
        (tmp_path / "gtFine/train").mkdir(parents=True)
        (tmp_path / "gtFine/train" / city).symlink_to(root / "gtFine/train" / city)
    name = "aachen_00000{}_000019_leftImg8bit.png"
    folder = tmp_path / "leftImg8bit/train/aachen"
    save(folder / name.format(0), flat(7))
    with pytest.raises(BenchError, match=r"train/aachen/aachen_000001_000019: has no picture \(aachen\)"):
        data(tmp_path, annotated=True, frames=1).store("train")
    save(folder / name.format(1), flat(7))
    assert data(tmp_path, annotated=True, frames=1).eval_batch("train", [0], 1, 1, 0)["video"].unique().tolist() == [7]
    save(folder / name.format(2), flat(7))
    with pytest.raises(BenchError, match=r"aachen_000002_000019: has no label .* and no instance"):
        data(tmp_path, annotated=True, frames=1).store("train")


def test_the_tests_annotation_is_withheld(root: Path) -> None:
    with pytest.raises(BenchError, match="annotation of folder test is withheld; use val"):
        data(root, annotated=True, frames=1, test="test").store("test")
    assert data(root, test="test").store("test").names == ["test/berlin_000000"]
    with pytest.raises(BenchError, match=r"frames must be 1 with annotated: true, found 30"):
        data(root, annotated=True)


def test_a_gap_in_a_snippet_parts_it(root: Path, tmp_path: Path) -> None:
    snippet(tmp_path, "train", "aachen", 0, 0, 0)
    (tmp_path / "leftImg8bit_sequence/train/aachen/aachen_000000_000012_leftImg8bit.png").unlink()
    store = data(tmp_path, frames=12).store("train")
    assert store.lengths.tolist() == [12, 17]
    assert len(data(tmp_path, frames=13).store("train").names) == 1  # the shorter part is dropped and named
    with pytest.raises(BenchError, match=r"no video of train has data\.init_args\.frames=30 .*\n.*000000_000000"):
        data(tmp_path).store("train")


def test_every_second_frame_is_no_sequence(tmp_path: Path) -> None:
    for i in range(0, 30, 2):
        save(tmp_path / f"leftImg8bit_sequence/train/aachen/aachen_000000_{i:06}_leftImg8bit.png", flat(i))
    with pytest.raises(BenchError, match="no video of train has"):
        data(tmp_path, frames=2).store("train")


def test_other_names_and_layouts(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "leftImg8bit_sequence/train/aachen/aachen_19_leftImg8bit.png", flat(0))
    with pytest.raises(BenchError, match="sequence and frame in the name aachen_19_leftImg8bit"):
        data(tmp_path).store("train")
    with pytest.raises(
        BenchError,
        match=r"folder gtFine/train is missing .*\nFound instead: leftImg8bit_seq.*\n.*cityscapes-dataset",
    ):
        data(tmp_path, annotated=True, frames=1).store("train")


def test_instances_of_8_bits_are_refused(tmp_path: Path) -> None:
    snippet(tmp_path, "train", "aachen", 0, 0, 0)
    save(tmp_path / "gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png", labels(0))
    with pytest.raises(BenchError, match="8 bits a pixel, but numbers of instances go beyond 1000"):
        data(tmp_path, annotated=True, frames=1).eval_batch("train", [0], 1, 1, 0)
