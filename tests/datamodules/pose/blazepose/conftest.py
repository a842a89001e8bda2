import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models() -> Path:
    if "REELBENCH_POSE_MODELS" not in os.environ:
        pytest.skip("REELBENCH_POSE_MODELS is not set: the networks are not here")
    return Path(os.environ["REELBENCH_POSE_MODELS"])
