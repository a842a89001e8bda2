"""Folders of small videos for the tests of `reelbench score`, and ways to run it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from datamodules.media import write_lossless
from experiments import cli
from tests.metrics.array_data import noise_clips

FRAMES, SIDE = 20, 24


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are kept by content, so one test would find those of another."""
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "numbers"))


def clip(seed: int, frames: int = FRAMES, side: int = SIDE) -> np.ndarray:
    """uint8 T H W 3."""
    return noise_clips(seed, 1, 3, frames, side, side)[0].permute(1, 2, 3, 0).numpy()


def write(folder: Path, clips: Mapping[str, np.ndarray]) -> Path:
    """`.npy` as arrays, anything else without loss."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, video in clips.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, video)
        else:
            write_lossless(path, video)
    return folder


def two_folders(root: Path, count: int = 4, suffix: str = ".npy", frames: int = FRAMES) -> tuple[Path, Path]:
    """`count` real and generated videos of the same names."""
    real = write(root / "real", {f"{n:03}{suffix}": clip(n, frames) for n in range(count)})
    fake = write(root / "fake", {f"{n:03}{suffix}": clip(100 + n, frames) for n in range(count)})
    return real, fake


def entries(capsys: pytest.CaptureFixture[str], *words: Any, code: int = 0) -> dict[str, dict[str, Any]]:
    """Runs `score` with `--json`; its entries by metric."""
    return entries_and_words(capsys, *words, code=code)[0]


def entries_and_words(
    capsys: pytest.CaptureFixture[str], *words: Any, code: int = 0
) -> tuple[dict[str, dict[str, Any]], str]:
    """As `entries`, and what came on standard error."""
    capsys.readouterr()
    assert cli.main(["score", *map(str, words), "--json"]) == code
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert list(found) == ["results"]
    return {entry["metric"]: entry for entry in found["results"]}, shown.err


def refused(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    """Runs `score`, which ends with code 2 and nothing on standard output; what it said."""
    capsys.readouterr()
    try:
        assert cli.main(["score", *map(str, words)]) == 2
    except SystemExit as error:
        assert error.code == 2
    told = capsys.readouterr()
    assert not told.out and "Traceback" not in told.err
    return told.err


def first(videos: list[np.ndarray], frames: int = 16) -> Tensor:
    """The clips that the default protocol takes of them, uint8 B C T H W."""
    import torch

    return torch.stack([torch.from_numpy(v[:frames]).permute(3, 0, 1, 2) for v in videos])
