"""Every session is offline, alone in its folders, on one thread, and under REELBENCH_CI=1 strict about skips."""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LOG = "REELBENCH_TEST_CONNECTIONS"
# A cluster's or launcher's variables would make the tests parts of a job.
FOREIGN = ("SLURM_", "LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_", "PL_", "WANDB_", "REELBENCH_PREEMPT")


def _isolate(base: Path) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    folders = {
        "REELBENCH_CACHE": "cache",
        "REELBENCH_RUNS": "runs",
        "WANDB_DIR": "wandb",
        "WANDB_DATA_DIR": "wandb-data",
        "WANDB_CACHE_DIR": "wandb-cache",
        "WANDB_CONFIG_DIR": "wandb-config",
        "XDG_CACHE_HOME": "xdg-cache",
        "XDG_CONFIG_HOME": "xdg-config",
        "XDG_DATA_HOME": "xdg-data",
        "MPLCONFIGDIR": "matplotlib",
    }
    for name, folder in folders.items():
        (base / folder).mkdir(parents=True)
        os.environ[name] = str(base / folder)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    os.environ |= nowhere | {  # for programs that are not Python
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
        "WANDB_MODE": "offline",
        "MPLBACKEND": "agg",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE / "offline"), os.environ.get("PYTHONPATH")])),
        LOG: str(base / "connections.txt"),
    }
    # One thread: sums come in one order, and workers do not fight for cores.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module, and with it torch, is imported."""
    config.stash[BASE] = base = Path(tempfile.mkdtemp(prefix="reelbench-tests-"))
    _isolate(base)
    from tests.offline import sitecustomize  # guards this process when it is imported

    assert sitecustomize.LOG == LOG
    worker = hasattr(config, "workerinput")  # of pytest-xdist; the main process hears of its skips
    if os.environ.get("REELBENCH_CI") == "1" and not worker:
        from tests.ci_skips import ExpectedSkips

        config.pluginmanager.register(ExpectedSkips(HERE / "expected_skips.txt"))


BASE = pytest.StashKey[Path]()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves nothing behind."""
    shutil.rmtree(config.stash[BASE], ignore_errors=True)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test starts from the same environment and seeds, and fails if it, or what it started, went online."""
    before = dict(os.environ)
    log = Path(before[LOG])
    log.write_text("", encoding="utf-8")
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
    attempts = log.read_text(encoding="utf-8").splitlines()
    if attempts:
        pytest.fail(f"tests are offline, but this one tried to {'; '.join(attempts)}")
