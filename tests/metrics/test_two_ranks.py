"""Two gloo processes with uneven shares of clips give what one process gives, for every metric."""

import pytest

from metrics.base import MetricResult
from tests.metrics.array_data import noise_clips, numbered
from tests.metrics.test_suite import ready
from tests.metrics.two_ranks import CASES, Results, of_two_ranks


def scored(numbers: list[int], n_real: int, feed_nothing: bool) -> dict[str, MetricResult]:
    """This rank's clips in batches of two, then the results of all ranks."""
    fake, real = noise_clips(0, 5, 3, 4, 16, 16), noise_clips(1, 5, 3, 4, 16, 16)
    suite = ready(n_real=n_real, n_fake=5)
    for start in range(0, len(numbers), 2):
        chosen = numbers[start : start + 2]
        suite.update(fake[chosen], real[[i for i in chosen if i < n_real]], numbered(*chosen))
    if feed_nothing:
        suite.update(fake[:0], real[:0], numbered())
    return suite.results()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    return of_two_ranks(scored, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_equal_one(of_ranks: list[Results], case: str) -> None:
    _, n_real, _ = CASES[case]
    expected = scored([0, 1, 2, 3, 4], n_real, feed_nothing=False)
    assert of_ranks[0][case] == of_ranks[1][case]
    for column, single in expected.items():
        ours = of_ranks[0][case][column]
        assert single.value is not None
        for key, value in single.as_dict().items():
            if isinstance(value, float):
                assert ours[key] == pytest.approx(value, rel=1e-4), (column, key)
            elif key != "note":
                assert ours[key] == value, (column, key)
