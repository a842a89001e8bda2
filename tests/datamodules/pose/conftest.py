import os
from pathlib import Path

import pytest


@pytest.fixture
def parity() -> Path:
    if "REELBENCH_PARITY" not in os.environ:
        pytest.skip("REELBENCH_PARITY is not set: the official numbers are not compared")
    return Path(os.environ["REELBENCH_PARITY"])
