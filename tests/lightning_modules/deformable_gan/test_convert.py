"""Files that the tests write in Keras' layout, through the converter and back."""

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
from lightning_modules.deformable_gan.module import DeformableGAN
from lightning_modules.deformable_gan.networks import SampleNorm
from tests.helpers.h5_files import write_h5

Groups = dict[str, Any]


def keras(network: nn.Module, first: dict[str, int]) -> Groups:
    """Layers in the order in which the official code makes them, numbered from `first` on."""
    numbers, groups = dict(first), {}
    for layer in network.modules():
        kind = {nn.Conv2d: "conv2d", nn.ConvTranspose2d: "conv2d_transpose", SampleNorm: "instance_normalization"}.get(
            type(layer)
        )
        if kind is None:
            continue
        number = numbers[kind] = numbers.get(kind, 0) + 1
        names = {"weight": "gamma", "bias": "beta"} if kind.startswith("inst") else {"weight": "kernel", "bias": "bias"}
        entries = {}
        for leaf, value in layer.named_parameters():
            array = value.detach().numpy()
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
            entries[f"{names[leaf]}:0"] = np.ascontiguousarray(array)
        name = f"{kind}_{number}"
        groups[name] = {"@weight_names": [f"{name}/{entry}" for entry in entries], name: entries}
    return groups


def saved(
    path: Path,
    network: nn.Module,
    whole: bool = False,
    change: Callable[[Groups], object] = lambda groups: None,
    **first: int,
) -> Path:
    groups = keras(network, first)
    groups |= {"leaky_re_lu_1": {}, "dropout_1": {}}
    change(groups)
    # the order in the file says nothing, the numbers do
    groups["@layer_names"] = [*sorted(name for name in groups if not name.startswith("@"))]
    return write_h5(path, {"model_weights": groups, "optimizer_weights": {"@w": ["x"]}} if whole else groups)


def model(**options: Any) -> DeformableGAN:
    torch.manual_seed(0)
    made = DeformableGAN(**{"ngf": 2, "ndf": 3, **options}).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.3)
    return made


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("options", [{}, {"warp_skip": "none"}, {"size": 256}])
def test_weights_and_arguments_come_back(options: dict[str, Any], whole: bool, tmp_path: Path) -> None:
    given = model(**options)
    critic = saved(
        tmp_path / "epoch_030_discriminator.h5", given.discriminator, whole, conv2d=13, instance_normalization=13
    )
    file = saved(tmp_path / "epoch_030_generator.h5", given.generator, whole)
    out = tmp_path / "out.safetensors"
    said = convert("deformable_gan", [file, critic], out)
    expected = {"size": (128, 64), "warp_skip": "mask", "ndf": 3, **options}
    assert {**said["init_args"], "size": np.array(said["init_args"]["size"]).tolist()}.items() >= {
        **expected,
        "size": np.array(expected["size"]).tolist(),
    }.items()
    assert said["step"] == 30
    method = load_export(out)[0]
    assert isinstance(method, DeformableGAN)
    for key, value in given.generator.state_dict().items():
        assert torch.equal(method.generator.state_dict()[key], value), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("conv2d_7"), "has 12 convolutions and 5 transposed ones"),
        (lambda g: g.pop("instance_normalization_3"), "has 12 norms, expected 13"),
        (lambda g: g["conv2d_2"]["conv2d_2"].pop("kernel:0"), "layer conv2d_2 has the entries none"),
        (
            lambda g: g["conv2d_2"]["conv2d_2"].update({"odd:0": np.zeros(1)}),
            "layer conv2d_2 has the odd entry conv2d_2/odd:0",
        ),
        (lambda g: g.update({"dense_1": {"dense_1": {"kernel:0": np.zeros((72, 64))}}}), "has the layer dense_1"),
        (lambda g: g["dropout_1"].update({"x": np.zeros(1)}), "layer dropout_1 has the entries x"),
        (
            lambda g: g["conv2d_1"]["conv2d_1"].update({"kernel:0": np.zeros((3, 3, 20, 2), np.float32)}),
            "first encoder reads 20 channels",
        ),
        (
            lambda g: g["conv2d_3"]["conv2d_3"].update({"kernel:0": np.zeros((4, 4, 5, 8), np.float32)}),
            r"appearance.2.conv.weight has shape \(8, 5, 4, 4\), expected \(8, 4, 4, 4\)",
        ),
        (
            lambda g: g["conv2d_1"]["conv2d_1"]["bias:0"].fill(np.nan),
            "appearance.0.bias holds NaN",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[Groups], object], message: str, tmp_path: Path) -> None:
    file = saved(tmp_path / "epoch_090_generator.h5", model().generator, change=change)
    with pytest.raises(BenchError, match=rf"epoch_090_generator\.h5: .*(\n.*)*{message}"):
        convert("deformable_gan", [file], tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_files_of_something_else(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    odd = write_h5(tmp_path / "a.h5", {"x": np.zeros(3)})
    with pytest.raises(BenchError, match="holds x; expected Keras' groups of layers"):
        convert("deformable_gan", [odd], out)
    made = model()
    critic = saved(tmp_path / "d.h5", made.discriminator)
    with pytest.raises(BenchError, match="sampling needs the generator"):
        convert("deformable_gan", [critic], out)
    twice = [saved(tmp_path / f"{name}.h5", made.generator) for name in ("one", "two")]
    with pytest.raises(BenchError, match="both hold a generator: name one"):
        convert("deformable_gan", twice, out)
    unlisted = {**keras(made.generator, {}), "@layer_names": ["conv2d_1"]}
    with pytest.raises(BenchError, match="has groups that layer_names does not list: conv2d_10"):
        convert("deformable_gan", [write_h5(tmp_path / "b.h5", unlisted)], out)
