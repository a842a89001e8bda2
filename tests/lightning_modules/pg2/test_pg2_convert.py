from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from datamodules.errors import BenchError
from experiments.convert import main
from experiments.export import load_export, read_metadata
from lightning_modules.pg2 import convert as of_pg2
from lightning_modules.pg2.module import PG2
from lightning_modules.pg2.official import discriminator_names, generator_names
from tests.helpers.tf_files import write_checkpoint


def variables(model: PG2) -> dict[str, Any]:
    """What the official code saves of such a model, as training leaves it."""
    assert model.discriminator is not None
    found: dict[str, Any] = {}
    for network, names in (
        (model.generator, generator_names(model.generator)),
        (model.discriminator, discriminator_names(model.discriminator)),
    ):
        for ours, theirs in names.items():
            value = network.get_parameter(ours).detach().numpy()
            found[theirs] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T if value.ndim == 2 else value
    slots = {f"{name}/{slot}": np.zeros_like(value) for name, value in found.items() for slot in ("Adam", "Adam_1")}
    scalars = dict.fromkeys(("beta1_power", "beta2_power_1", "g_lr", "d_lr"), np.float32(0.1))
    norms = {f"Discriminator.BN2.moving_{name}": np.ones(4, np.float32) for name in ("mean", "variance")}
    return found | slots | scalars | norms | {"step": np.int32(0)}


def model(**options: Any) -> PG2:
    torch.manual_seed(0)
    return PG2(**{"size": (64, 32), "hidden": 2, "dim_z": 3, "ndf": 2, **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "size (64, 32), adversarial market, full_skip False, lambda_l1 10.0, hidden 2, dim_z 3, ndf 2"),
        ({"size": (128, 64), "full_skip": True, "adversarial": "deepfashion", "lambda_l1": 50.0}, "size (128, 64)"),
    ],
)
def test_a_checkpoint_of_official_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str
) -> None:
    wanted = model(**options)
    index = write_checkpoint(tmp_path / "model.ckpt-120", variables(wanted))
    out = tmp_path / "out.safetensors"
    assert main(["pg2", str(index), "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert said in printed and "data: data/puppet_source" in printed and "step 120" in printed
    training = 2 * len(list(wanted.parameters())) + 5
    assert f"left out: model.ckpt-120.index: {training} variables (of the optimizers)" in printed
    assert "2 variables (averages that the official code never updates or reads)" in printed
    made, _ = load_export(out)
    assert isinstance(made, PG2) and made.adversarial == wanted.adversarial and made.lambda_l1 == wanted.lambda_l1
    state = made.generator.state_dict()
    assert int(state.pop("refines")) == 1
    expected = wanted.generator.state_dict()
    del expected["refines"]
    assert state.keys() == expected.keys() and all(torch.equal(state[k], expected[k]) for k in state)
    config = yaml.safe_load(read_metadata(out)["config"])
    assert config["data"]["init_args"]["size"] == list(options.get("size", (64, 32)))


def spoiled(tmp_path: Path, change: dict[str, np.ndarray | None]) -> Path:
    content = {**variables(model()), **change}
    return write_checkpoint(tmp_path / "model.ckpt-1", {k: v for k, v in content.items() if v is not None})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Pose_AE/G/Conv_5/weights": None}, "Pose_AE/G has 23 convolutions"),
        ({"Pose_AE/G/Conv_5/biases": None}, "encoder.stages.1.block.second.bias is missing"),
        ({"UAEnoFC/G/Conv_3/weights": np.zeros((5, 5, 2, 2), np.float32)}, r"has shape \(2, 2, 5, 5\), expected"),
        ({"UAEnoFC/G/Conv_30/weights": np.zeros((3, 3, 2, 2), np.float32)}, "UAEnoFC/G/Conv_30/weights is unknown"),
        ({"Pose_AE/G/Conv_1/biases": np.full(2, np.nan, np.float32)}, "holds NaN or infinity"),
        ({"Discriminator.1/Discriminator.1.Biases": np.full(2, np.nan, np.float32)}, "convs.0.bias holds NaN"),
        ({"VGG/conv": np.zeros(2, np.float32)}, "holds VGG/conv, which PG2's networks do not have"),
        ({"Pose_AE/G/Conv/weights": np.zeros(4, np.float32)}, r"Pose_AE/G/Conv/weights has shape \(4,\), expected 4"),
        ({"Discriminator.1/Discriminator.1.Filters": None}, "Discriminator.1.Filters is missing, expected 4 axes"),
        ({"Pose_AE/G/fully_connected/weights": np.zeros((30, 3), np.float32)}, "no generator of PG2"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: Any, message: str) -> None:
    index = spoiled(tmp_path, change)
    with pytest.raises(BenchError, match=message) as error:
        main(["pg2", str(index), "-o", str(tmp_path / "out.safetensors")])
    assert str(index) in str(error.value) and not (tmp_path / "out.safetensors").exists()


def test_one_checkpoint_at_a_time(tmp_path: Path) -> None:
    index = spoiled(tmp_path, {})
    with pytest.raises(BenchError, match="PG2's checkpoint is one index"):
        main(["pg2", str(index), str(index), "-o", str(tmp_path / "out.safetensors")])


def test_the_embedded_data_that_it_names_give_what_it_needs() -> None:
    from experiments.data import load_data

    assert PG2.needs() <= type(load_data(of_pg2.DATA, [])).gives(truth=("pose", "mask", "labels"), source="other")
