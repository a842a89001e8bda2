"""A second opinion on VGAN's networks, reproduced: one test for each file `vgan_*.safetensors` under REELBENCH_PARITY.

The files come from an independent forward pass in float64, written from the official layer list: Torch7 could not be
run.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lightning_modules.vgan.module import FAKE, REAL, judged
from lightning_modules.vgan.networks import ConditionalGenerator, Discriminator, Layers, TwoStreamGenerator

PARITY = os.environ.get("REELBENCH_PARITY")
FILES = sorted(Path(PARITY).glob("vgan_*.safetensors")) if PARITY else []
PARAMETERS = FILES or [Path("vgan_no_files")]  # one parameter even without a file, so that what is missing is said
SHOWN = [0, 1, 15, 31]  # the frames that are stored


def read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The sidecar, and weights, inputs and outputs by name."""
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "input": {}, "output": {}}
    for key, tensor in load_file(path).items():
        group, name = key.split("/", 1)
        groups[group][name] = tensor
    return json.loads(path.with_suffix(".json").read_text()), groups


def of_layers(layers: Layers, mode: str) -> dict[str, Tensor]:
    assert layers.mask is not None and layers.background is not None
    return {
        f"video_{mode}_frames": layers.video[:, :, SHOWN],
        f"mask_{mode}_frames": layers.mask[:, :, SHOWN],
        f"background_{mode}": layers.background,
        f"video_mean_per_frame_{mode}": layers.video.mean((3, 4)),
    }


def computed(about: dict[str, Any], groups: dict[str, dict[str, Tensor]], name: str) -> dict[str, Tensor]:
    given, built = groups["input"], about["constructor"]
    found: dict[str, Tensor] = {}
    network: Any
    if name == "vgan_generator":
        network = TwoStreamGenerator(built["nz"], built["w"])
    elif name == "vgan_discriminator":
        network = Discriminator(3, built["w"])
    else:
        network = ConditionalGenerator(built["e"], built["w"])
    for mode in ("eval", "train"):
        network.load_state_dict(groups["weights"], strict=True)
        network.train(mode == "train")
        if isinstance(network, Discriminator):
            logits = network(given["x_u8"].float() / 127.5 - 1)
            found[f"logits_{mode}"] = logits
            found[f"ce_real_{mode}"], found[f"ce_fake_{mode}"] = judged(logits, REAL), judged(logits, FAKE)
            continue
        layers = network(given["z"] if isinstance(network, TwoStreamGenerator) else given["x"])
        found |= of_layers(layers, mode)
        if isinstance(network, TwoStreamGenerator):
            found[f"mask_mean_{mode}"] = layers.mask.mean()
        else:
            found[f"reg_{mode}"] = 10 * (layers.video[:, :, 0] - given["x"]).abs().mean()
    for statistic in (n for n in groups["output"] if n.endswith("_after")):
        found[statistic] = network.get_buffer(statistic.removesuffix("_after")).clone()  # the code's pass changes it
    if isinstance(network, ConditionalGenerator):
        for mode in ("eval", "train"):
            network.load_state_dict(groups["weights"], strict=True)
            found[f"code_{mode}"] = network.train(mode == "train").enc(given["x"])
    return found


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_second_opinion(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: VGAN's numbers are not compared")
    assert FILES, f"no vgan_*.safetensors in REELBENCH_PARITY ({PARITY})"
    about, groups = read(path)
    with torch.no_grad():
        ours = computed(about, groups, path.stem)
    assert set(ours) == set(groups["output"]) == set(about["suggested_atol"])
    for name, expected in groups["output"].items():
        assert ours[name].reshape(expected.shape).shape == expected.shape
        torch.testing.assert_close(
            ours[name].reshape(expected.shape), expected, rtol=0, atol=about["suggested_atol"][name], msg=name
        )
