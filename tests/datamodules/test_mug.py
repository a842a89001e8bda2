import logging
from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import BenchError
from datamodules.mug import SIX, Mug
from tests.datamodules.published_files import named, read_all, write_frames


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four people with every expression, the second unpacked twice, the third with a take of its own."""
    base = tmp_path / "mug" / "subjects3"
    for subject in ("001", "002/002", "003", "010"):
        for expression in (*SIX, "neutral"):
            write_frames(base / subject / expression / "take000", 12, "img_{}.png")
    return tmp_path / "mug"


def mug(root: Path, **arguments: Any) -> Mug:
    return Mug(**{"root": str(root), "size": 8, "frames": 8, "min_frames": 10, "val": 0, "test": 0, **arguments})


def test_frames_are_ordered_by_number(root: Path) -> None:
    found = read_all(mug(root), "train")
    assert found["001/anger/take000"] == list(range(12))  # img_2 before img_10
    assert found["002/anger/take000"] == list(range(12)) and len(found) == 24


def test_six_expressions_unless_others_are_asked_for(root: Path) -> None:
    data = mug(root)
    store = data.store("train")
    assert data.categories == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert [data.categories[c] for c in store.attributes["category"]] == [n.split("/")[1] for n in store.names]
    assert [int(n[:3]) for n in store.names] == store.attributes["subject"].tolist()
    calm = mug(root, expressions=["neutral", "anger"]).store("train")
    assert {n.split("/")[1]: c for n, c in zip(calm.names, calm.attributes["category"].tolist(), strict=True)} == {
        "neutral": 0,
        "anger": 1,
    }
    with pytest.raises(BenchError, match=r"expressions: \['joy'\] are none of anger, disgust"):
        Mug(expressions=["joy"])


def test_takes_that_are_declared_unusable_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_frames(root / "subjects3" / "003" / "fear" / "take001_nsg", 12)
    write_frames(root / "subjects3" / "003" / "fear" / "take002", 12)
    with caplog.at_level(logging.INFO):
        names = mug(root).store("train").names
    assert "003/fear/take002" in names and len(names) == 25
    assert "1 takes with nsg" in caplog.text


def test_short_takes_are_dropped_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_frames(root / "subjects3" / "003" / "fear" / "take001", 9)
    assert len(mug(root).store("train").names) == 24
    assert "003/fear/take001: 9 frames, fewer than min_frames=10" in caplog.text
    assert Mug().min_frames == 64


def test_an_empty_take_is_an_error(root: Path) -> None:
    (root / "subjects3" / "003" / "fear" / "take001").mkdir()
    with pytest.raises(BenchError, match=r"003/fear/take001: a folder without pictures"):
        mug(root).store("train")


def test_people_are_in_one_split(root: Path) -> None:
    names = named(mug(root, val=0.3, test=0.3))
    people = [{n[:3] for n in names[split]} for split in names]
    assert all(people) and len(set().union(*people)) == sum(map(len, people)) == 4


def test_an_expression_that_nobody_shows_is_an_error(root: Path) -> None:
    for folder in root.glob("**/sadness"):
        folder.rename(folder.with_name("sad"))
    with pytest.raises(BenchError, match=r"(?s)sadness/take000 .* is missing in .*001\nFound instead: anger, disgust"):
        mug(root).store("train")


def test_the_root_may_be_subjects3_itself(root: Path) -> None:
    assert mug(root / "subjects3").store("train").digest == mug(root).store("train").digest
