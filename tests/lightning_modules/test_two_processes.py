"""Two gloo processes train every method of a `_cpu` config: equal weights, different noise."""

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.helpers.built import CPU_CONFIGS
from tests.helpers.runs import HELPERS, ROOT, environment

# Two steps do not reach PG2's second stage.
OF_TWO_PROCESSES = [*CPU_CONFIGS, "pg2_cpu --model.init_args.stage1_steps=1"]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two gloo processes ended with, for all methods: one pair serves them all."""
    out = tmp_path_factory.mktemp("ddp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pair = []
    for rank in range(2):
        env = environment(
            MASTER_ADDR="127.0.0.1", MASTER_PORT=port, WORLD_SIZE="2", LOCAL_RANK=str(rank), NODE_RANK="0"
        )
        with (out / f"log{rank}").open("w") as log:
            words = [sys.executable, str(HELPERS / "ddp_worker.py"), str(out), *OF_TWO_PROCESSES]
            pair.append(subprocess.Popen(words, env=env, cwd=ROOT, stdout=log, stderr=log))
    codes = [process.wait(540) for process in pair]
    assert codes == [0, 0], (out / "log0").read_text()[-3000:] + (out / "log1").read_text()[-3000:]
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("config", OF_TWO_PROCESSES)
def test_two_processes_end_alike_with_different_noise(ranks: list[dict[str, Any]], config: str) -> None:
    one, two = (rank[config] for rank in ranks)
    assert one["steps"] == two["steps"] == 2
    assert one["weights"] == two["weights"]
    assert one["buffers"] == two["buffers"], "BatchNorm statistics part under DDP unless evaluation shares them"
    assert len({*one["noise"], *two["noise"]}) == 4, "ranks or steps share their noise"
    assert one["values"] == two["values"] and one["values"]
