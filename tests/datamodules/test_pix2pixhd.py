import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import BenchError
from datamodules.pix2pixhd import Pix2PixHD
from tests.datamodules.frame_files import instances, labels, noise, save

CITY = "aachen_00000{}_000019"


def cityscapes(root: Path, count: int = 4, phases: tuple[str, ...] = ("train", "test")) -> Path:
    """Names with Cityscapes' endings, which differ from folder to folder."""
    for p, phase in enumerate(phases):
        for i in range(count):
            seed, name = 10 * p + i, CITY.format(i)
            save(root / f"{phase}_img/{name}_leftImg8bit.png", noise(seed))
            save(root / f"{phase}_label/{name}_gtFine_labelIds.png", labels(seed))
            save(root / f"{phase}_inst/{name}_gtFine_instanceIds.png", instances(labels(seed)))
    return root


def data(root: Path, **arguments: Any) -> Pix2PixHD:
    return Pix2PixHD(**{"root": str(root), "size": (16, 32), "val": "test", **arguments})


def test_a_frame_has_its_own_maps(tmp_path: Path) -> None:
    sets = data(cityscapes(tmp_path))
    assert sets.gives() == {"video", "labels", "instances"}
    for split, first in (("train", 0), ("test", 10)):
        batch = sets.eval_batch(split, range(4), 1, 1, 0)
        assert batch["video"].shape == (4, 3, 1, 16, 32) and batch["instances"].dtype == torch.int32
        for i, name in enumerate(batch["name"]):
            seed = first + int(name.split("_")[1])
            assert name == f"{split}/{CITY.format(seed % 10)}[0:1]"
            np.testing.assert_array_equal(batch["video"][i, :, 0].permute(1, 2, 0), noise(seed))
            np.testing.assert_array_equal(batch["labels"][i, 0], labels(seed))
            np.testing.assert_array_equal(batch["instances"][i, 0], instances(labels(seed)))
    assert sets.split_digest("train") != sets.split_digest("test") == sets.split_digest("val")


def test_files_without_partners_are_named_or_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = cityscapes(tmp_path, 30)
    gone = CITY.format(1)
    (root / f"train_label/{gone}_gtFine_labelIds.png").unlink()
    with pytest.raises(BenchError, match=rf"1 of 30 files cannot be used:\n  train/{gone}: has no label \("):
        data(root).store("train")
    with caplog.at_level(logging.WARNING):
        batch = data(root, on_error="skip").eval_batch("train", range(29), 1, 1, 0)
    assert gone in caplog.text and not any(gone in name for name in batch["name"])
    for i, name in enumerate(batch["name"]):  # nothing was shifted
        np.testing.assert_array_equal(batch["labels"][i, 0], labels(int(name.split("_")[1])))


def test_ignored_pixels(tmp_path: Path) -> None:
    root = cityscapes(tmp_path)
    path = root / f"train_label/{CITY.format(2)}_gtFine_labelIds.png"
    values = labels(2)
    values[0] = 255
    save(path, values)
    with pytest.raises(
        BenchError, match=rf"train/{CITY.format(2)}: .*train_label.*: labels 255 found, expected 0 to 34"
    ):
        data(root).eval_batch("train", range(4), 1, 1, 0)
    batch = data(root, unlisted=0).eval_batch("train", range(4), 1, 1, 0)
    (i,) = [i for i, name in enumerate(batch["name"]) if CITY.format(2) in name]
    assert not batch["labels"][i, 0, 0].any() and (batch["labels"] < 35).all()
    other = data(root, classes=256).eval_batch("train", range(4), 1, 1, 0)
    assert other["labels"].max() == 255


def test_coloured_conditions(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"train_A/{i}.jpg.png", noise(i))
        save(tmp_path / f"train_B/{i}.jpg.png", noise(i + 50))
    sets = data(tmp_path, classes=0)
    assert Pix2PixHD.gives(classes=0) == {"video", "condition"}
    batch = sets.eval_batch("train", range(3), 1, 1, 0)
    assert set(batch) == {"video", "condition", "index", "name"}
    for i, name in enumerate(batch["name"]):
        seed = int(name.split("/")[1][0])
        np.testing.assert_array_equal(batch["condition"][i, :, 0].permute(1, 2, 0), noise(seed))
        np.testing.assert_array_equal(batch["video"][i, :, 0].permute(1, 2, 0), noise(seed + 50))


def test_features_and_sets_without_instances(tmp_path: Path) -> None:
    root = cityscapes(tmp_path)
    for i in range(4):
        save(root / f"train_feat/{CITY.format(i)}.png", noise(i + 70))
    batch = data(root, features=True, instances=False).eval_batch("train", range(4), 1, 1, 0)
    assert set(batch) == {"video", "labels", "condition", "index", "name"}
    assert Pix2PixHD.gives(features=True, instances=False) == {"video", "labels", "condition"}
    for i, name in enumerate(batch["name"]):
        np.testing.assert_array_equal(batch["condition"][i, :, 0].permute(1, 2, 0), noise(int(name.split("_")[1]) + 70))


def test_a_missing_phase_shows_what_is_there(tmp_path: Path) -> None:
    root = cityscapes(tmp_path, 1)
    with pytest.raises(BenchError, match=r"the folder val_img is missing .*\nFound instead: test_img, test_inst"):
        data(root, val="val").store("val")
    empty = tmp_path / "empty"
    for kind in ("img", "label", "inst"):
        (empty / f"train_{kind}").mkdir(parents=True)
    with pytest.raises(BenchError, match="no frame of train has all its files"):
        data(empty).store("train")


def test_maps_of_another_size_are_refused(tmp_path: Path) -> None:
    root = cityscapes(tmp_path)
    save(root / f"train_label/{CITY.format(0)}_gtFine_labelIds.png", labels(0, height=8, width=16))
    with pytest.raises(BenchError, match=r"has 16x8 pixels, but its frame has 32x16"):
        data(root).eval_batch("train", range(4), 1, 1, 0)
