"""Metrics on two gloo processes, with uneven shares of the clips."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from metrics.base import MetricResult

# The clips of both ranks, the number of real ones, and whether an update without clips comes last.
CASES: dict[str, tuple[tuple[list[int], list[int]], int, bool]] = {
    "three_and_two": (([0, 2, 4], [1, 3]), 5, False),
    "five_and_none": (([0, 1, 2, 3, 4], []), 5, True),
    "none_and_five_never_fed": (([], [0, 1, 2, 3, 4]), 5, False),
    "one_duplicated": (([0, 2, 4], [1, 3, 0]), 5, False),
    "fewer_real": (([0, 2, 4], [1, 3]), 3, False),
}
# From a rank's clips, the number of real ones, and whether to feed nothing at last, to the results of all ranks.
Scored = Callable[[list[int], int, bool], dict[str, MetricResult]]
Results = dict[str, dict[str, dict[str, object]]]  # of each case, of each column


def of_two_ranks(scored: Scored, folder: Path) -> list[Results]:
    """What each of two processes says in every case; `scored` is a function of a module."""
    mp.spawn(_one_rank, args=(os.fspath(folder), scored), nprocs=2)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def _one_rank(rank: int, folder: str, scored: Scored) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {
        case: {k: dict(r.as_dict()) for k, r in scored(shares[rank], n_real, feed).items()}
        for case, (shares, n_real, feed) in CASES.items()
    }
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()
