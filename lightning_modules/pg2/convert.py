"""model.ckpt-<step>.index, TensorFlow's checkpoint of all networks, with its data file beside it."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion
from lightning_modules.pg2.discriminator import Discriminator
from lightning_modules.pg2.module import PG2
from lightning_modules.pg2.networks import BOTTOM
from lightning_modules.pg2.official import (
    COARSE,
    DIFFERENCE,
    UNUSED,
    discriminator_names,
    generator_names,
    our_layout,
)

CLASSES: frozenset[str] = frozenset()  # variables alone
DATA = "data/puppet_source"  # the embedded set with sources and poses
# What training keeps beside the weights -> why it is left out.
TRAINING = {
    re.compile(r".+/Adam(_1)?"): "of the optimizers",
    re.compile(r"beta[12]_power(_\d+)?|[gd]_lr|step"): "of the optimizers",
    UNUSED: "averages that the official code never updates or reads",
}


def convert(files: Sequence[WeightFile]) -> Conversion:
    """All networks of one checkpoint. Pictures are those of G2, as in the official test, whatever the step.

    Raises:
        BenchError: more than one file, or one of something else.
    """
    if len(files) > 1:
        raise BenchError(f"{files[1].path}: PG2's checkpoint is one index; name {files[0].path} alone")
    (file,) = files
    conversion = Conversion("lightning_modules.pg2.module.PG2", {}, data=DATA)
    weights = _weights(file, conversion)
    conversion.init_args |= _arguments(file, weights)
    with torch.device("meta"):
        model = PG2(**conversion.init_args)
    discriminator = model.discriminator
    assert isinstance(discriminator, Discriminator)
    generator = _renamed(weights, generator_names(model.generator), (f"{COARSE}/", f"{DIFFERENCE}/"))
    generator["refines"] = torch.ones((), dtype=torch.int64)
    conversion.states = {
        "generator": generator,
        "discriminator": _renamed(weights, discriminator_names(discriminator), ("Discriminator.",)),
    }
    conversion.files = dict.fromkeys(conversion.states, file)
    return conversion


def _weights(file: WeightFile, conversion: Conversion) -> dict[str, Tensor]:
    content = file.content if isinstance(file.content, dict) else {}
    counts: dict[str, int] = {}
    weights = {}
    for name, value in content.items():
        why = next((why for names, why in TRAINING.items() if names.fullmatch(str(name))), None)
        if why is not None:
            counts[why] = counts.get(why, 0) + 1
        elif isinstance(value, Tensor) and str(name).startswith((f"{COARSE}/", f"{DIFFERENCE}/", "Discriminator.")):
            weights[str(name)] = value
        else:
            raise file.error(f"holds {name}, which PG2's networks do not have")
    conversion.left_out = {f"{file.path.name}: {count} variables": why for why, count in counts.items()}
    return weights


def _renamed(weights: dict[str, Tensor], names: dict[str, str], scopes: tuple[str, ...]) -> dict[str, Tensor]:
    """The variables of `scopes` under our names; those that ours do not have keep theirs, to be told of as unknown."""
    ours = {theirs: name for name, theirs in names.items()}
    return {ours.get(name, name): our_layout(v) for name, v in weights.items() if name.startswith(scopes)}


def _arguments(file: WeightFile, weights: dict[str, Tensor]) -> dict[str, Any]:
    def shape(name: str, ndim: int) -> tuple[int, ...]:
        value = weights.get(name)
        if value is None or value.ndim != ndim or not value.numel():
            found = "is missing" if value is None else f"has shape {tuple(value.shape)}"
            raise file.error(f"{name} {found}, expected {ndim} axes")
        return tuple(value.shape)

    hidden = shape(f"{COARSE}/Conv/weights", 4)[3]
    nodes, dim_z = shape(f"{COARSE}/fully_connected/weights", 2)
    convs = sum(bool(re.fullmatch(rf"{COARSE}/Conv(_\d+)?/weights", name)) for name in weights)
    blocks, odd = divmod(convs, 6)  # N blocks make 6 N convolutions
    places, rest = divmod(nodes, hidden * max(blocks, 1))
    if odd or blocks < 4 or rest or places % BOTTOM:
        raise file.error(f"{COARSE} has {convs} convolutions and a code of {nodes} nodes: no generator of PG2")
    up = 5 * (blocks - 2) - 2  # number of the first convolution in G2's last block
    full = shape(f"{DIFFERENCE}/Conv_{up}/weights", 4)[2] > hidden
    return {
        "size": (BOTTOM << (blocks - 1), places // BOTTOM << (blocks - 1)),
        "adversarial": "deepfashion" if full else "market",
        "full_skip": full,
        "lambda_l1": 50.0 if full else 10.0,
        "hidden": hidden,
        "dim_z": dim_z,
        "ndf": shape("Discriminator.1/Discriminator.1.Filters", 4)[3],
    }
