"""Best of several samples from two gloo processes with uneven shares, one of them without clips."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from metrics.pixel import PSNR, SSIM
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered

SAMPLES = 3
SHARES: dict[str, tuple[list[int], list[int]]] = {
    "three_and_two": ([0, 2, 4], [1, 3]),
    "five_and_none": ([0, 1, 2, 3, 4], []),
}


def scored(numbers: list[int]) -> dict[str, Any]:
    real = noise_clips(1, 5, 3, 4, 16, 16)
    data = ArrayData(val=real)
    suite = MetricSuite({"ssim": SSIM(), "psnr": PSNR(pooling="set")})
    suite.prepare(data, ProtocolSettings(n_real=5, n_fake=5, samples=SAMPLES).resolve(data))
    for sample in range(SAMPLES):
        fake = noise_clips(2 + sample, 5, 3, 4, 16, 16)
        suite.update(fake[numbers], real[numbers], numbered(*numbers), sample)
    return {column: dict(result.as_dict()) for column, result in suite.results().items()}


def one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {case: scored(shares[rank]) for case, shares in SHARES.items()}
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(one_rank, args=(os.fspath(folder),), nprocs=2)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("case", SHARES)
def test_two_ranks_equal_one(of_ranks: list[dict[str, dict[str, Any]]], case: str) -> None:
    assert of_ranks[0][case] == of_ranks[1][case]
    expected = scored([0, 1, 2, 3, 4])
    assert list(of_ranks[0][case]) == list(expected)
    for column, single in expected.items():
        ours = of_ranks[0][case][column]
        assert single["value"] is not None and ours["value"] == pytest.approx(single["value"], rel=1e-6)
        assert ours["standard_error"] == pytest.approx(single["standard_error"], rel=1e-4)
        assert ours["curve"]["mean"] == pytest.approx(single["curve"]["mean"], rel=1e-6)
        assert (ours["n_real"], ours["n_fake"], ours["curve"]["count"]) == (5, 5, 5)
