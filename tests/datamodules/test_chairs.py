from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.chairs import Chairs
from datamodules.errors import BenchError
from tests.datamodules.published_files import levels, read_all

MODELS = [f"{number:032x}" for number in (7, 3, 12)]


def view(number: int) -> str:
    turn, height = number % 31, 20 + 10 * (number // 31)
    return f"image_{number:03}_p{height:03}_t{turn * 360 // 31:03}_r096.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three models; picture k has the level of frame k % 31, at the second height 93 more."""
    root = tmp_path / "chairs"
    for model in MODELS:
        folder = root / model / "renders"
        folder.mkdir(parents=True)
        for number in range(62):
            pixels = levels(31, 6, 6)[number % 31] + 93 * (number // 31)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / view(number))
    (root / "all_chair_names.mat").touch()
    return root


def chairs(root: Path, **arguments: Any) -> Chairs:
    return Chairs(**{"root": str(root), "size": 6, "frames": 16, "val": 0, "train": 2, **arguments})


def test_a_video_is_one_turn_at_one_height(root: Path) -> None:
    data = chairs(root)
    train, test = read_all(data, "train"), data.store("test")
    assert sorted(train) == [f"{model}/p{height:03}" for model in sorted(MODELS)[:2] for height in (20, 30)]
    for name, frames in train.items():
        first = 0 if name.endswith("p020") else 93 / 4
        assert frames == [round(first + k) for k in range(31)]
    assert test.names[0].startswith(MODELS[2]) and test.attributes["elevation"].tolist() == [20, 30]
    assert test.attributes["subject"].tolist() == [2, 2]


def test_a_list_decides_models_and_order(root: Path) -> None:
    (root / "used.txt").write_text(f"{MODELS[0]}\n{MODELS[1]}\n")
    data = chairs(root, models="used.txt", train=1)
    assert {n[:32] for n in data.store("train").names} == {MODELS[0]}
    assert {n[:32] for n in data.store("test").names} == {MODELS[1]}
    (root / "used.txt").write_text("abc\n")
    with pytest.raises(BenchError, match=r"used.txt: expected folders of .*; not there: abc"):
        chairs(root, models="used.txt").store("train")
    with pytest.raises(BenchError, match=r"other.txt, which data.init_args.models names, is missing"):
        chairs(root, models="other.txt").store("train")


def test_a_model_that_misses_a_picture_is_named(root: Path) -> None:
    (root / MODELS[1] / "renders" / view(40)).unlink()
    with pytest.raises(
        BenchError, match=rf"1 of 6 files cannot be used:\n  {MODELS[1]}/p030: 30 pictures in a row, expec"
    ):
        chairs(root).store("train")
    (root / MODELS[1] / "renders" / "notes.png").touch()
    with pytest.raises(BenchError, match=rf"{MODELS[1]}/renders: expected pictures such as image_000.*found notes.png"):
        chairs(root).store("train")


def test_the_root_may_hold_the_unpacked_folder(root: Path, tmp_path: Path) -> None:
    expected = chairs(root).store("train").digest
    (tmp_path / "outer").mkdir()
    root.rename(tmp_path / "outer" / "rendered_chairs")
    assert chairs(tmp_path / "outer").store("train").digest == expected
