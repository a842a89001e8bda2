import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test; the user's is never touched."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("REELBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def real_data() -> Path:
    if "REELBENCH_DATA" not in os.environ:
        pytest.skip("REELBENCH_DATA is not set: the published strips are not here")
    return Path(os.environ["REELBENCH_DATA"])
