"""latest_net_G.pth and latest_net_Gface.pth (faces), also latest_net_D.pth and latest_net_Dface.pth."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.everybody_dance.networks import CHANNELS
from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion, one_of
from lightning_modules.pix2pixhd.official import discriminator_arguments, generator_arguments, state_of

CLASSES: frozenset[str] = frozenset()  # tensors alone
# Where the official code says which network a file holds: G and Gface have the same layers.
NAMES = {"net_Gface": "face", "net_Dface": "face_discriminator", "net_G": "generator", "net_D": "discriminator"}


def convert(files: Sequence[WeightFile]) -> Conversion:
    """The main network, the face's where its file is named, and the discriminators.

    Raises:
        BenchError: a file of something else, two of one network, or a face's network alone.
    """
    conversion = Conversion("lightning_modules.everybody_dance.module.EverybodyDance", {"lambda_vgg": 0})
    conversion.data = "data/puppet_poses"
    states: dict[str, dict[str, Tensor]] = {}
    found: dict[str, WeightFile] = {}
    for file in files:
        network = _which(file)
        one_of(found, network, file)
        found[network], states[network] = file, state_of(file, conversion)
    faces = {"face", "face_discriminator"} & set(found)
    arguments: dict[str, Any] = {"face": bool(faces)}
    if "discriminator" in found:
        file = found["discriminator"]
        arguments |= _of_channels(discriminator_arguments(states["discriminator"], file), 4 * CHANNELS, file)
    if "face_discriminator" in found:
        first = states["face_discriminator"].get("facemodel.0.weight")
        if first is None or first.ndim != 4:
            raise found["face_discriminator"].error("lacks facemodel.0.weight, the face's first convolution")
        arguments["face_ndf"] = len(first)
    for network in ("discriminator", "face_discriminator"):
        if network in found:
            conversion.states[network], conversion.files[network] = states[network], found[network]
    if "face" in found and "generator" not in found:
        raise BenchError(f"{found['face'].path}: the face's network goes on top of the main one; name latest_net_G.pth")
    if "generator" in found:
        file = found["generator"]
        arguments |= {"n_local_enhancers": 0}
        arguments |= _of_channels(generator_arguments(states["generator"], file), 2 * CHANNELS, file)
        whole = {f"body.net.{key}": value for key, value in states["generator"].items()}
        if "face" in found:
            of_face = _of_channels(generator_arguments(states["face"], found["face"]), 2 * CHANNELS, found["face"])
            arguments |= {
                "face_ngf": of_face["ngf"],
                "face_n_downsample": of_face["n_downsample_global"],
                "face_n_blocks": of_face["n_blocks_global"],
            }
            whole |= {f"face.{key}": value for key, value in states["face"].items()}
            whole["face_trained"] = torch.ones((), dtype=torch.bool)
        elif faces:
            raise BenchError(f"{found['face_discriminator'].path}: name latest_net_Gface.pth too")
        conversion.states["generator"], conversion.files["generator"] = whole, file
    conversion.init_args |= arguments
    return conversion


def _which(file: WeightFile) -> str:
    for name, network in NAMES.items():
        if name in file.path.name:
            return network
    raise file.error(f"has a name without one of {', '.join(NAMES)}, by which the networks are told apart")


def _of_channels(arguments: dict[str, Any], expected: int, file: WeightFile) -> dict[str, Any]:
    """The arguments, once the input has the channels that it must have."""
    inputs, norm = arguments.pop("input_nc"), arguments.pop("norm", "instance")
    if inputs != expected or norm != "instance":
        raise file.error(f"takes {inputs} channels under {norm} normalisation; expected {expected} under instance")
    return arguments
