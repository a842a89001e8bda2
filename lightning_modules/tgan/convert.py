"""gen_iter_<n>.npz and vgen_iter_<n>.npz, Chainer's snapshots of the generators; also vdis_iter_<n>.npz, the critic."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion, one_of
from lightning_modules.tgan.networks import FRAMES, HALVINGS
from lightning_modules.tgan.official import our_key

CLASSES: frozenset[str] = frozenset()  # arrays alone
# An entry that only this network has -> the network; image generators have layers called dc1 and so on, too.
MARKS = {"l0s/W": "image", "dc0/W": "temporal", "c0/W": "critic"}


def convert(files: Sequence[WeightFile]) -> Conversion:
    """Both generators, and the critic where its file is named.

    Raises:
        BenchError: a file of something else, two of one network, or one of the generators alone.
    """
    found: dict[str, WeightFile] = {}
    for file in files:
        network = _which(file)
        one_of(found, network, file)
        found[network] = file
    conversion = Conversion("lightning_modules.tgan.module.TGAN", {"frames": FRAMES})
    if "critic" in found:
        file = found["critic"]
        conversion.states["critic"], conversion.files["critic"] = _state(file, conversion), file
        conversion.init_args["ndf"] = _shape(file, "c0/W", 5)[0]
    if {"image", "temporal"} & set(found):
        lacking = {"image": "vgen_iter_<n>.npz", "temporal": "gen_iter_<n>.npz"}
        for part, name in lacking.items():
            if part not in found:
                raise BenchError(f"{files[0].path}: TGAN's generator lies in two files; name {name} too")
        image, temporal = found["image"], found["temporal"]
        conversion.init_args |= _arguments(image, temporal)
        parts = {"temporal": _state(temporal, conversion), "image": _state(image, conversion)}
        conversion.states["generator"] = {
            f"{part}.{key}": v for part, state in parts.items() for key, v in state.items()
        }
        conversion.files["generator"] = image
    return conversion


def _which(file: WeightFile) -> str:
    entries = file.content if isinstance(file.content, dict) else {}
    for mark, network in MARKS.items():
        if mark in entries:
            return network
    held = ", ".join(sorted(map(str, entries))[:4]) or type(file.content).__name__
    raise file.error(f"holds {held}; expected a snapshot with one of {', '.join(MARKS)}")


def _state(file: WeightFile, conversion: Conversion) -> dict[str, Tensor]:
    state = {}
    for name, value in file.content.items():
        try:
            key = our_key(name)
        except KeyError:
            raise file.error(f"has the odd entry {name}") from None
        if key is None:
            conversion.left_out[f"{file.path.name}: {name}"] = "Chainer's counter of batches"
        else:
            state[key] = value
    return state


def _arguments(image: WeightFile, temporal: WeightFile) -> dict[str, Any]:
    width = _shape(image, "dc1/W", 4)[0]
    nodes, dim_slow = _shape(image, "l0s/W", 2)
    bottom = math.isqrt(2 * nodes // width)
    if width % 2**HALVINGS or width // 2 * bottom**2 != nodes:
        raise image.error(f"l0s/W gives {nodes} nodes and dc1/W takes {width} channels, which make no square map")
    return {
        "size": bottom << HALVINGS,
        "channels": _shape(image, "dc5/W", 4)[1],
        "dim_slow": dim_slow,
        "dim_fast": _shape(image, "l0f/W", 2)[1],
        "ngt": _shape(temporal, "dc3/W", 3)[1],
        "ngf": width // 2**HALVINGS,
        "beta": "bn0/beta" in temporal.content,
    }


def _shape(file: WeightFile, name: str, ndim: int) -> tuple[int, ...]:
    value = file.content.get(name)
    if not isinstance(value, Tensor) or value.ndim != ndim or not value.numel():
        shape = tuple(value.shape) if isinstance(value, Tensor) else None
        raise file.error(f"{name} has shape {shape}, expected {ndim} axes")
    return tuple(value.shape)
