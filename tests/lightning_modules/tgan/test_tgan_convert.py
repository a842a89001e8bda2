"""Snapshots that the tests write in Chainer's layout, through the converter and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from experiments.convert import convert
from experiments.export import load_export
from lightning_modules.tgan.module import TGAN
from tests.lightning_modules.tgan.test_tgan_module import lively

OFFICIAL = {"running_mean": "avg_mean", "running_var": "avg_var"}


def snapshot(path: Path, network: nn.Module, change: Callable[[dict[str, Any]], object] = lambda arrays: None) -> Path:
    arrays: dict[str, Any] = {}
    for key, value in network.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        names = {"weight": "gamma", "bias": "beta"} if layer.startswith("bn") else {"weight": "W", "bias": "b"}
        name = "N" if leaf == "num_batches_tracked" else (names | OFFICIAL)[leaf]
        arrays[f"{layer}/{name}"] = value.numpy()
    change(arrays)
    np.savez_compressed(path, **arrays)
    return path


def files(folder: Path, model: Any) -> list[Path]:
    parts = {"gen": model.generator.temporal, "vgen": model.generator.image, "vdis": model.critic}
    return [snapshot(folder / f"{name}_iter_500.npz", part) for name, part in parts.items()]


@pytest.mark.parametrize("options", [{}, {"beta": True, "size": 64}, {"channels": 1, "dim_fast": 9}])
def test_weights_and_arguments_come_back(options: dict[str, Any], tmp_path: Path) -> None:
    model = lively(**options)
    said = convert("tgan", files(tmp_path, model), tmp_path / "out.safetensors")
    given = {"size": 32, "channels": 3, "frames": 16, "dim_slow": 6, "dim_fast": 5, "ngt": 4, "ngf": 4, "ndf": 2}
    assert said["init_args"].items() >= ({**given, "beta": False} | options).items()
    method = load_export(tmp_path / "out.safetensors")[0]
    assert isinstance(method, TGAN) and said["step"] == 500
    for key, value in model.generator.state_dict().items():
        assert torch.equal(method.generator.state_dict()[key], torch.zeros_like(value) if "num_b" in key else value), (
            key
        )


def test_generators_go_together(tmp_path: Path) -> None:
    model: Any = lively()
    seeds, images, critic = files(tmp_path, model)
    out = tmp_path / "out.safetensors"
    for alone, other in ((seeds, "vgen_iter_<n>"), (images, "gen_iter_<n>")):
        with pytest.raises(BenchError, match=f"lies in two files; name {other}"):
            convert("tgan", [alone], out)
    with pytest.raises(BenchError, match="sampling needs the generator"):
        convert("tgan", [critic], out)
    with pytest.raises(BenchError, match="both hold a image"):
        convert("tgan", [seeds, images, snapshot(tmp_path / "again.npz", model.generator.image)], out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("bn1/gamma"), r"image.bn1.weight is missing"),
        (lambda a: a.update({"dc9/W": np.zeros(2)}), r"image.dc9.weight is unknown"),
        (lambda a: a.update({"dc2/W": np.zeros((4, 4, 4, 4), np.float32)}), r"image.dc2.weight has shape"),
        (lambda a: a.update({"dc2/V": np.zeros(2)}), "has the odd entry dc2/V"),
        (lambda a: a["dc5/b"].fill(np.nan), r"image.dc5.bias holds NaN"),
        (lambda a: a.update({"l0s/W": np.zeros((7, 6), np.float32)}), "make no square map"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path) -> None:
    model: Any = lively()
    seeds = files(tmp_path, model)[0]
    images = snapshot(tmp_path / "bent_iter_1.npz", model.generator.image, change)
    with pytest.raises(BenchError, match=message) as error:
        convert("tgan", [seeds, images], tmp_path / "out.safetensors")
    assert "bent_iter_1.npz" in str(error.value) and not (tmp_path / "out.safetensors").exists()


def test_other_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    with pytest.raises(BenchError, match=r"x\.npz: holds a; expected a snapshot with one of l0s/W, dc0/W, c0/W"):
        convert("tgan", [tmp_path / "x.npz"], tmp_path / "out.safetensors")
