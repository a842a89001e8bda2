"""Two gloo processes with uneven shares of clips give what one process gives, for every metric."""

import json
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from metrics.base import MetricResult
from tests.metrics.array_data import noise_clips, numbered
from tests.metrics.test_suite import ready

# The clips of both ranks, the number of real ones, and whether an update without clips comes last.
CASES: dict[str, tuple[tuple[list[int], list[int]], int, bool]] = {
    "three_and_two": (([0, 2, 4], [1, 3]), 5, False),
    "five_and_none": (([0, 1, 2, 3, 4], []), 5, True),
    "none_and_five_never_fed": (([], [0, 1, 2, 3, 4]), 5, False),
    "one_duplicated": (([0, 2, 4], [1, 3, 0]), 5, False),
    "fewer_real": (([0, 2, 4], [1, 3]), 3, False),
}


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


def one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {
        case: {k: dict(r.as_dict()) for k, r in scored(shares[rank], n_real, feed).items()}
        for case, (shares, n_real, feed) in CASES.items()
    }
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, dict[str, object]]]]:
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(one_rank, args=(os.fspath(folder),), nprocs=2)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_equal_one(of_ranks: list[dict[str, dict[str, dict[str, object]]]], case: str) -> None:
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
