"""What the official `.pth` state dicts of pix2pixHD and its descendants tell of their networks. The keys are ours."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion

State = Mapping[str, Tensor]
OPTIONS = "opt.txt"  # the official parser writes it beside the checkpoints


def state_of(file: WeightFile, conversion: Conversion) -> dict[str, Tensor]:
    """The file's tensors, without the statistics that InstanceNorm carried before torch 0.4.

    Raises:
        BenchError: something else than a state dict.
    """
    content = file.content
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise file.error(f"holds {type(content).__name__}; expected a state dict of tensors, as latest_net_G.pth")
    state = {}
    for name, value in content.items():
        layer, _, kind = str(name).rpartition(".")
        if kind in ("running_mean", "running_var") and f"{layer}.weight" not in content:
            conversion.left_out[f"{file.path.name}: {name}"] = "InstanceNorm does not read them"
        else:
            state[str(name)] = value
    return state


def options(file: WeightFile) -> dict[str, str]:
    """The training options beside the file, {} where there are none."""
    path = Path(file.path).with_name(OPTIONS)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {key.strip(): value.strip() for key, found, value in (line.partition(": ") for line in lines) if found}


def generator_arguments(state: State, file: WeightFile, prefix: str = "") -> dict[str, Any]:
    """Arguments of `GlobalGenerator` or `LocalEnhancer` under the method's names, the inputs' channels as `input_nc`.

    Args:
        state: of one network.
        file: for errors.
        prefix: of the arguments' names, such as `face_`.

    Raises:
        BenchError: the keys are not those of one.
    """
    convolutions = _convolutions(state, "model", file)
    blocks = len({key.split(".")[1] for key in state if re.match(r"model\.\d+\.conv_block\.", key)})
    enhancers = len({key.split(".")[0] for key in state if re.match(r"model\d+_1\.", key)})
    # Halvings have outputs, inputs = 2 w, w; so have doublings, whose inputs come first. An enhancer takes G1's maps.
    between = convolutions[1:] if enhancers else convolutions[1:-1]
    down, odd = divmod(len(between), 2)
    if not down or odd or any(a != 2 * b for a, b in between):
        raise file.error("its layers model.* are not those of a generator of pix2pixHD")
    norm = "batch" if any(key.endswith("running_mean") for key in state) else "instance"
    width, inputs = convolutions[0]
    found: dict[str, Any] = {f"{prefix}ngf": width, "input_nc": inputs, "norm": norm}
    if enhancers:
        outermost = f"model{enhancers}_2"
        found[f"{prefix}ngf"] = width >> enhancers
        local = {key.split(".")[1] for key in state if re.match(rf"{outermost}\.\d+\.conv_block\.", key)}
        found |= {"n_local_enhancers": enhancers, "n_blocks_local": len(local)}
    return found | {f"{prefix}n_downsample_global": down, f"{prefix}n_blocks_global": blocks}


def discriminator_arguments(state: State, file: WeightFile) -> dict[str, Any]:
    """Arguments of a `MultiscaleDiscriminator` that gives its layers' maps, the inputs' channels as `input_nc`.

    Raises:
        BenchError: the keys are not those of one.
    """
    scales = {key.split("_")[0] for key in state if re.match(r"scale\d+_layer\d+\.", key)}
    layers = {key.split(".")[0] for key in state if key.startswith("scale0_layer")}
    first = state.get("scale0_layer0.0.weight")
    if first is None or first.ndim != 4 or len(layers) < 3:
        raise file.error("its layers are not scale<i>_layer<j>, those of a discriminator with feature matching")
    return {"ndf": len(first), "input_nc": first.shape[1], "num_D": len(scales), "n_layers_D": len(layers) - 2}


def _convolutions(state: State, part: str, file: WeightFile) -> list[tuple[int, int]]:
    """First and second axis of the weights `part.<n>.weight`, in order: of convolutions outputs and inputs."""
    return [tuple(state[name].shape[:2]) for name in _named(state, part, file)]  # type: ignore[misc]


def _named(state: State, part: str, file: WeightFile) -> Iterator[str]:
    places = sorted(int(m[1]) for key in state if (m := re.fullmatch(rf"{part}\.(\d+)\.weight", key)))
    names = [f"{part}.{n}.weight" for n in places]
    if not any(state[name].ndim == 4 for name in names):
        held = ", ".join(list(state)[:4])
        raise file.error(f"holds {held}; expected the convolutions {part}.<n>.weight of a generator")
    yield from (name for name in names if state[name].ndim == 4)
