import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.splits import by_group, by_stem

STEMS = [f"{i:08}" for i in range(20_000)]


def test_shares_are_what_was_asked_for() -> None:
    split = by_stem(STEMS, 0.05, 0.2)
    shares = {name: float((split == name).mean()) for name in ("train", "val", "test")}
    # Three standard deviations of a share p over 20,000 files are at most 0.009.
    assert shares == pytest.approx({"train": 0.75, "val": 0.05, "test": 0.2}, abs=0.009)
    assert set(by_stem(STEMS, 0, 0)) == {"train"}


def test_a_file_stays_in_its_split_when_others_come_or_go() -> None:
    split = by_stem(STEMS, 0.05, 0.05)
    np.testing.assert_array_equal(by_stem(STEMS[5:500:7], 0.05, 0.05), split[5:500:7])
    np.testing.assert_array_equal(by_stem(STEMS[::-1], 0.05, 0.05), split[::-1])


def test_the_draw_does_not_change_between_versions() -> None:
    # Numbers that were scored on a split stay comparable only as long as this holds.
    assert np.flatnonzero(by_stem(STEMS[:40], 0.2, 0.2) == "val").tolist() == [0, 8, 9, 11, 15, 23, 27, 30, 33, 34]


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, -0.1), (1, 0)])
def test_impossible_shares_are_refused(val: float, test: float) -> None:
    with pytest.raises(BenchError, match=f"val and test are shares .* found {val} and {test}"):
        by_stem(STEMS, val, test)


def test_groups_stay_together() -> None:
    groups = np.array([3, 1, 2, 3, 1, 0])
    assert by_group(groups, [3], [0, 2]).tolist() == ["val", "train", "test", "val", "train", "test"]


@pytest.mark.parametrize(
    ("val", "test", "reason"), [([1], [1, 2], r"\[1\] is in both"), ([1], [9], r"\[9\] is not among \[0, 1, 2, 3\]")]
)
def test_groups_must_exist_and_differ(val: list[int], test: list[int], reason: str) -> None:
    with pytest.raises(BenchError, match=reason):
        by_group(np.array([3, 1, 2, 0]), val, test)
