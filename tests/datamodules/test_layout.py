from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.layout import Layout

SET = Layout("Cows", "cows", "the farm", ("train/COW.png", "test/COW.png"))
HELP = r"Get it from the farm\nExpected layout:\n  train/COW\.png\n  test/COW\.png"


def test_a_missing_set_says_where_to_get_it_and_what_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    with pytest.raises(BenchError, match=rf"Cows is not found: set data\.init_args\.root .* holds cows/\n{HELP}"):
        SET.find(None)
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=rf"Cows is not found: {tmp_path}/cows does not exist\n{HELP}"):
        SET.find(None)
    (tmp_path / "cows").touch()
    with pytest.raises(BenchError, match="cows is a file"):
        SET.find(None)
    (tmp_path / "herd").mkdir()
    assert SET.find(str(tmp_path / "herd")) == tmp_path / "herd"


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
    for i in range(12):
        (tmp_path / f"{i:02}").touch()
    with pytest.raises(BenchError, match="00, 01, 02, 03, 04, 05, 06, 07 and 5 more"):
        SET.require(tmp_path, "val")
