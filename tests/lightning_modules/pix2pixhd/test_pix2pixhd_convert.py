"""State dicts of pix2pixHD and Everybody Dance Now, as written here: what is inferred, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from experiments.convert import convert
from lightning_modules.everybody_dance import convert as of_dance
from lightning_modules.everybody_dance.networks import FaceDiscriminator
from lightning_modules.formats.reading import read
from lightning_modules.pix2pixhd import convert as of_pix2pixhd
from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer


def written(folder: Path, **networks: nn.Module) -> list[Path]:
    """`latest_net_<name>.pth` of each network."""
    paths = []
    for name, network in networks.items():
        paths.append(folder / f"latest_net_{name}.pth")
        torch.save(network.state_dict(), paths[-1])
    return paths


def arguments(converter: Any, paths: list[Path]) -> dict[str, Any]:
    said: dict[str, Any] = converter.convert([read(path, converter.CLASSES) for path in paths]).init_args
    return said


@pytest.mark.parametrize(
    ("inputs", "told", "expected"),
    [
        (36, "", (35, True)),
        (3, "", (0, False)),
        (35, "label_nc: 35\nno_instance: True\n", (35, False)),
        (4, "label_nc: 0\nno_instance: False\n", (0, True)),
    ],
)
def test_what_the_input_is(tmp_path: Path, inputs: int, told: str, expected: tuple[int, bool]) -> None:
    if told:
        (tmp_path / "opt.txt").write_text("----- Options -----\n" + told)
    said = arguments(of_pix2pixhd, written(tmp_path, G=GlobalGenerator(inputs, 3, 2, 2, 1)))
    assert (said["label_nc"], said["instances"]) == expected


def test_the_networks_shape_is_inferred_and_their_weights_are_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = {"G": LocalEnhancer(5, 3, 2, 2, 3, 2, 1, "batch"), "D": MultiscaleDiscriminator(8, 6, 2, 3, "batch")}
    paths = written(tmp_path, **networks)
    out = tmp_path / "out.safetensors"
    said = convert("pix2pixhd", paths, out, "data/puppet_labels")["init_args"]
    expected: dict[str, Any] = {
        "n_local_enhancers": 2,
        "n_blocks_local": 1,
        "ngf": 2,
        "n_downsample_global": 2,
        "n_blocks_global": 3,
    }
    expected |= {"norm": "batch", "ndf": 6, "n_layers_D": 2, "num_D": 3, "label_nc": 4, "lambda_vgg": 0}
    assert {key: said[key] for key in expected} == expected
    from experiments.export import load_export

    method: Any = load_export(out)[0]
    x = torch.rand(1, 5, 32, 64)
    assert torch.equal(method.generator(x), networks["G"].eval()(x))


def test_files_that_are_refused(tmp_path: Path) -> None:
    generator, encoder = GlobalGenerator(8, 3, 2, 2, 1), GlobalGenerator(3, 3, 2, 2, 0)
    judge, face = MultiscaleDiscriminator(8, 4, 3, 2, features=False), FaceDiscriminator(4, 3)
    paths = written(tmp_path, G=generator, E=encoder, D=judge, Gface=GlobalGenerator(6, 3, 2, 1, 1), Dface=face)
    of_generator, of_encoder, of_judge, of_face, of_face_judge = paths
    whole = tmp_path / "list.pth"
    torch.save([1, 2], whole)
    (tmp_path / "opt.txt").write_text("label_nc: 7\ninstance_feat: True\n")
    for converter, files, message in (
        (of_pix2pixhd, [of_encoder], "latest_net_E.pth: an encoder goes with its generator"),
        (of_pix2pixhd, [of_generator], "latest_net_G.pth: was trained with features, says opt.txt"),
        (of_pix2pixhd, [of_generator, of_encoder], "latest_net_G.pth: takes 8 channels, 3 of them features, but opt.t"),
        (of_pix2pixhd, [of_judge], "latest_net_D.pth: holds layer0.0.weight, .*; expected layers"),
        (of_pix2pixhd, [of_encoder, of_encoder], "both hold a encoder: name one"),
        (of_pix2pixhd, [whole], "list.pth: holds list; expected a state dict"),
        (of_dance, [of_face], "latest_net_Gface.pth: the face's network goes on top"),
        (of_dance, [of_generator], "latest_net_G.pth: takes 8 channels .* expected 6"),
        (of_dance, [whole], "list.pth: has a name without one of net_Gface"),
    ):
        with pytest.raises(BenchError, match=message):
            arguments(converter, files)
    main = written(tmp_path, G=GlobalGenerator(6, 3, 2, 1, 1))
    with pytest.raises(BenchError, match=r"latest_net_Dface.pth: name latest_net_Gface.pth too"):
        arguments(of_dance, [*main, of_face_judge])


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    state = GlobalGenerator(3, 3, 2, 2, 1).state_dict()
    state["model.7.weight"] = torch.zeros(8, 4, 5, 5)
    path = tmp_path / "latest_net_G.pth"
    torch.save(state, path)
    with pytest.raises(
        BenchError, match=r"latest_net_G.pth: does not fit generator .*\n +net.model.7.weight has shape"
    ):
        convert("pix2pixhd", [path], tmp_path / "out.safetensors", "data/puppet_poses")
