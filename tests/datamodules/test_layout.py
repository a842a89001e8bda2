from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.layout import Layout

SET = Layout("Cows", "cows", "the farm", ("train/COW.png", "test/COW.png"))
HELP = r"Get it from the farm\nExpected layout:\n  train/COW\.png\n  test/COW\.png"


def test_another_layout_shows_what_was_found_instead(tmp_path: Path) -> None:
    for name in ("a", "b", ".hidden"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(
        BenchError, match=rf"Cows: the folder train/cow is missing in {tmp_path}/train\nFound instead: a, b\n{HELP}"
    ):
        SET.require(tmp_path, "train/cow")
    with pytest.raises(BenchError, match=r"the folder val or the folder test is missing in .*\nFound instead: train"):
        SET.require(tmp_path, "val", "test")
    assert SET.require(tmp_path, "none", "train") == tmp_path / "train"
