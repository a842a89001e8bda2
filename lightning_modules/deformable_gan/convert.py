"""epoch_<n>_generator.h5, Keras' weights or whole model; also epoch_<n>_discriminator.h5."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from lightning_modules.deformable_gan.joints import JOINTS
from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion, State, one_of

CLASSES: frozenset[str] = frozenset()  # arrays alone
DATA = "data/puppet_pairs"  # pairs with poses, as the method needs
CONV, UP, NORM = "conv2d", "conv2d_transpose", "instance_normalization"
ENTRIES = {
    CONV: {"kernel": "weight", "bias": "bias"},
    UP: {"kernel": "weight"},
    NORM: {"gamma": "weight", "beta": "bias"},
}
# Layers without weights that the official networks have: another one would compute something else.
PLAIN = {
    "input", "concatenate", "leaky_re_lu", "zero_padding2d", "activation", "cropping2d", "dropout", "flatten",
    "affine_transform_layer",
}  # fmt: skip
SIZES = {6: (128, 64), 7: 256}  # official, by the encoders' levels


def convert(files: Sequence[WeightFile]) -> Conversion:
    """The generator, the discriminator or both, by whether a file has transposed convolutions.

    Which image is made of the same weights by `warp_skip` full and mask a file does not tell: with two encoders it is
    taken for mask, the released models' setting.

    Raises:
        BenchError: a file of something else, or two of one network.
    """
    conversion = Conversion("lightning_modules.deformable_gan.module.DeformableGAN", {}, data=DATA)
    for file in files:
        layers = dict(_layers(file, conversion))
        network = "generator" if any(kind == UP for kind, _ in layers) else "discriminator"
        one_of(conversion.files, network, file)
        make = _generator if network == "generator" else _discriminator
        conversion.states[network] = make(file, layers, conversion.init_args)
        conversion.files[network] = file
    return conversion


Layers = dict[tuple[str, int], State]


def _layers(file: WeightFile, conversion: Conversion) -> Iterator[tuple[tuple[str, int], State]]:
    """The layers with weights by kind and number, their entries under PyTorch's names and in its order of axes."""
    held = file.content if isinstance(file.content, dict) else {}
    if "model_weights" in held:
        for name in held:
            if name == "optimizer_weights":
                conversion.left_out[f"{file.path.name}: {name}"] = "state of the training"
        held = held["model_weights"]
    names = held.get("@layer_names")
    if not isinstance(names, list):
        found = ", ".join(sorted(map(str, held))[:4]) or type(file.content).__name__
        raise file.error(f"holds {found}; expected Keras' groups of layers with their layer_names")
    if odd := sorted(name for name in held if not name.startswith("@") and name not in names):
        raise file.error(f"has groups that layer_names does not list: {', '.join(odd[:4])}")
    for name in names:
        kind, _, number = name.rpartition("_")
        if kind not in ENTRIES and kind not in PLAIN:
            raise file.error(
                f"has the layer {name}, which the official networks with warp_skip none, full or mask lack"
            )
        entries = _entries(held.get(name), "")
        if (kind in ENTRIES) != bool(entries):
            raise file.error(f"layer {name} has the entries {', '.join(entries) or 'none'}")
        if entries:
            if not number.isdigit():
                raise file.error(f"has the odd layer {name}")
            yield (kind, int(number)), {_our_name(file, name, key): _turned(kind, v) for key, v in entries.items()}


def _entries(group: Any, path: str) -> dict[str, Tensor]:
    """Arrays below a layer's group, by their path."""
    found: dict[str, Tensor] = {}
    for key, value in (group or {}).items():
        if isinstance(value, Tensor):
            found[f"{path}{key}"] = value
        elif isinstance(value, dict):
            found |= _entries(value, f"{path}{key}/")
    return found


def _our_name(file: WeightFile, layer: str, entry: str) -> str:
    match = re.fullmatch(rf"{re.escape(layer)}(?:_\d+)?/(\w+):0", entry)
    kind = layer.rpartition("_")[0]
    if not match or match[1] not in ENTRIES[kind]:
        raise file.error(f"layer {layer} has the odd entry {entry}")
    return ENTRIES[kind][match[1]]


def _turned(kind: str, value: Tensor) -> Tensor:
    """Height, width, in, out (transposed convolutions: out, in) -> the other axes first, as PyTorch wants them."""
    return value.permute(3, 2, 0, 1).contiguous() if kind != NORM and value.ndim == 4 else value


def _of(kind: str, layers: Layers) -> list[State]:
    """Layers of a kind in the order in which the official code made them, which their numbers tell."""
    return [entries for (its, _), entries in sorted(layers.items(), key=lambda item: item[0]) if its == kind]


def _width(file: WeightFile, layer: State, axis: int) -> int:
    weight = layer.get("weight")
    if weight is None or weight.ndim != 4:
        raise file.error(f"a convolution has a kernel of shape {None if weight is None else tuple(weight.shape)}")
    return weight.shape[axis]


def _state(places: Sequence[str], layers: Sequence[State]) -> State:
    return {
        f"{place}.{key}": value for place, layer in zip(places, layers, strict=True) for key, value in layer.items()
    }


def _generator(file: WeightFile, layers: Layers, init_args: dict[str, Any]) -> State:
    """Adds to `init_args`."""
    convs, ups, norms = (_of(kind, layers) for kind in (CONV, UP, NORM))
    levels = len(ups) + 1
    encoders, rest = divmod(len(convs) - 1, levels)
    if rest or encoders not in (1, 2) or levels not in SIZES:
        raise file.error(
            f"has {len(convs)} convolutions and {len(ups)} transposed ones; expected one or two encoders of 6 or 7 "
            "levels, a convolution, and one transposed convolution less than levels"
        )
    if len(norms) != encoders * (levels - 2) + levels - 1:
        raise file.error(f"has {len(norms)} norms, expected {encoders * (levels - 2) + levels - 1}")
    init_args |= {
        "size": SIZES[levels],
        "warp_skip": "mask" if encoders == 2 else "none",
        "encoder": [_width(file, conv, 0) for conv in convs[:levels]],
        "decoder": [_width(file, up, 1) for up in ups],
    }
    if _width(file, convs[0], 1) != 3 + JOINTS * (3 - encoders):
        raise file.error(f"its first encoder reads {_width(file, convs[0], 1)} channels: another pose or input")
    parts = ["appearance", "pose"][:encoders]
    downs = [f"{part}.{level}" for part in parts for level in range(levels)]
    places = [place if place.endswith(".0") else f"{place}.conv" for place in downs]
    normed = [f"{part}.{level}.norm" for part in parts for level in range(1, levels - 1)]
    steps = [f"decoder.{step}" for step in range(levels - 1)]
    return {
        **_state([*places, "image"], convs),
        **_state([f"{step}.conv" for step in steps], ups),
        **_state([*normed, *(f"{step}.norm" for step in steps)], norms),
    }


def _discriminator(file: WeightFile, layers: Layers, init_args: dict[str, Any]) -> State:
    """Adds to `init_args`."""
    convs, norms = _of(CONV, layers), _of(NORM, layers)
    if len(convs) != 5 or len(norms) != 3:
        raise file.error(f"has {len(convs)} convolutions and {len(norms)} norms, expected the discriminator's 5 and 3")
    init_args["ndf"] = _width(file, convs[0], 0)
    return {
        **_state(["first", *(f"rest.{i}.conv" for i in range(4))], convs),
        **_state([f"rest.{i}.norm" for i in range(3)], norms),
    }
