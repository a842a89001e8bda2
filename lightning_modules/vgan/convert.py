"""iter<step>_net.t7, the generator, and iter<step>_netD.t7, the discriminator, of Torch7's nn or cudnn."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from lightning_modules.formats.content import Instance, WeightFile
from lightning_modules.formats.conversion import Conversion, State, one_of
from lightning_modules.vgan.networks import DISCRIMINATOR_EPS, GENERATOR_EPS

LEVELS = 4  # of the official networks, for 64 pixels
WIDEST = 8  # channels of the widest level over those of the narrowest
# The official networks, as `outline` tells them.
UP3 = "VolumetricFullConvolution"
UP2 = "SpatialFullConvolution"
DOWN3 = "VolumetricConvolution"
NORM3, NORM2 = "VolumetricBatchNormalization", "SpatialBatchNormalization"
VIDEO = f"View {f'{UP3} {NORM3} ReLU ' * LEVELS}ConcatTable(Sequential({UP3} Tanh) Sequential({UP3} Sigmoid L1Penalty))"
STATIC = f"View {f'{UP2} {NORM2} ReLU ' * LEVELS}{UP2} Tanh"
MOVING = "Sequential(ConcatTable(SelectTable Sequential(SelectTable Squeeze Replicate)) CMulTable)"
STILL = (
    "Sequential(ConcatTable(Sequential(SelectTable Replicate) "
    "Sequential(SelectTable Squeeze MulConstant AddConstant Replicate)) CMulTable)"
)
GENERATOR = (
    f"Sequential(ConcatTable(Sequential({VIDEO}) Sequential({STATIC})) FlattenTable "
    f"ConcatTable({MOVING} {STILL}) CAddTable)"
)
DISCRIMINATOR = f"Sequential({DOWN3} LeakyReLU {f'{DOWN3} {NORM3} LeakyReLU ' * (LEVELS - 1)}{DOWN3} View)"
LAYERS = re.findall(r"\w+", GENERATOR + DISCRIMINATOR)
CLASSES = frozenset(f"{package}.{layer}" for package in ("nn", "cudnn") for layer in LAYERS)
# What a layer with weights is called here, in the order in which the file has them.
HIDDEN = [f"{kind}{i}" for i in range(LEVELS) for kind in ("conv", "bn")]
NAMES = {
    "generator": [f"video.{name}" for name in (*HIDDEN, "gen", "mask")]
    + [f"static.{name}" for name in (*HIDDEN, f"conv{LEVELS}")],
    "discriminator": ["conv0", *HIDDEN[2:], f"conv{LEVELS}"],
}
# Of layers without weights, in the order of the file: streams are 1 the video, 2 the mask, 3 the still picture.
SELECTED = (1, 2, 3, 2)
COPIES = (
    {"nfeatures": 3, "dim": 2},
    {"nfeatures": 32, "dim": 3},
    {"nfeatures": 3, "dim": 2},
)
FIXED: Mapping[str, Mapping[str, float]] = {
    "LeakyReLU": {"negval": 0.2},
    "MulConstant": {"constant_scalar": -1},
    "AddConstant": {"constant_scalar": 1},
}
WEIGHTS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")


def convert(files: Sequence[WeightFile]) -> Conversion:
    """Both networks under our names.

    Raises:
        BenchError: layers or settings other than the official ones, or two files of the same network.
    """
    conversion = Conversion("lightning_modules.vgan.module.VGAN", {"size": 64, "frames": 32})
    for file in files:
        network = _which(file)
        one_of(conversion.files, network, file)
        layers = list(_leaves(file.content))
        state = _state(network, layers, file)
        conversion.states[network], conversion.files[network] = state, file
        if network == "generator":
            conversion.init_args |= {
                "channels": _size(state, "video.gen.weight", 1, file),
                "dim_z": _size(state, "video.conv0.weight", 0, file),
                "ngf": _size(state, "video.conv0.weight", 1, file) // WIDEST,
                "lambda_mask": next(
                    layer.fields.get("l1weight") for layer in layers if layer.short_name == "L1Penalty"
                ),
            }
        else:
            conversion.init_args |= {"ndf": _size(state, "conv0.weight", 0, file)}
        conversion.left_out[f"{file.path.name}: gradWeight, gradBias, output, gradInput"] = "buffers of training"
    return conversion


def _which(file: WeightFile) -> str:
    found = outline(file.content) if isinstance(file.content, Instance) else type(file.content).__name__
    known = {GENERATOR: "generator", DISCRIMINATOR: "discriminator"}
    if found not in known:
        raise file.error(
            f"holds the layers\n  {found}\nexpected those of main.lua, a generator of\n  {GENERATOR}\n"
            f"or a discriminator of\n  {DISCRIMINATOR}"
        )
    return known[found]


def outline(module: Any, met: set[int] | None = None) -> str:
    """A tree of layers in one line, without packages: `Sequential(Linear ReLU)`. A layer met twice is not followed."""
    met = set() if met is None else met
    name = getattr(module, "short_name", type(module).__name__)
    if id(module) in met:
        return f"{name} again"
    met.add(id(module))
    inner = " ".join(outline(child, met) for child in _children(module))
    return f"{name}({inner})" if inner else name


def _children(module: Any) -> list[Any]:
    modules = module.fields.get("modules") if isinstance(module, Instance) else None
    if not isinstance(modules, dict) or set(modules) != set(range(1, len(modules) + 1)):
        return []
    return [modules[i] for i in range(1, len(modules) + 1)]


def _leaves(module: Instance) -> Iterator[Instance]:
    children = _children(module)
    if not children:
        yield module
    for child in children:
        yield from _leaves(child)


def _state(network: str, layers: Sequence[Instance], file: WeightFile) -> State:
    """Names by order, after each layer's settings were compared with the official ones."""
    state: State = {}
    names, selected, made = iter(NAMES[network]), iter(SELECTED), iter(COPIES)
    for layer in layers:
        kind = layer.short_name
        if kind in (UP2, UP3, DOWN3, NORM2, NORM3):
            name = next(names)
            for entry in WEIGHTS + (STATISTICS if kind in (NORM2, NORM3) else ()):
                if not isinstance(layer.fields.get(entry), Tensor):
                    raise file.error(f"{layer.class_name}, here {name}, has no {entry}")
                state[f"{name}.{entry}"] = layer.fields[entry]
            _check(layer, name, _settings(network, name, kind), file)
        elif kind in FIXED:
            _check(layer, "a layer without weights", FIXED[kind], file)
        elif kind == "SelectTable":
            _check(layer, "a choice of streams", {"index": next(selected)}, file)
        elif kind == "Replicate":
            _check(layer, "a repetition", next(made), file)
    return state


def _settings(network: str, name: str, kind: str) -> dict[str, float]:
    if kind in (NORM2, NORM3):
        return {"eps": GENERATOR_EPS if network == "generator" else DISCRIMINATOR_EPS}
    at_the_bottom = name.endswith("conv0") if network == "generator" else name == f"conv{LEVELS}"
    stride, padding = (1, 0) if at_the_bottom else (2, 1)
    settings: dict[str, float] = {"dW": stride, "dH": stride, "padW": padding, "padH": padding}
    if kind in (UP3, DOWN3):
        settings |= {"dT": stride, "padT": padding}
    return settings | ({"adjW": 0, "adjH": 0} if kind in (UP2, UP3) else {})


def _check(layer: Instance, name: str, expected: Mapping[str, float], file: WeightFile) -> None:
    for key, value in expected.items():
        found = layer.fields.get(key)
        if not isinstance(found, int | float) or found != value:
            raise file.error(f"{layer.class_name}, here {name}, has {key} {found}, expected {value}")


def _size(state: State, name: str, axis: int, file: WeightFile) -> int:
    shape = state[name].shape
    if len(shape) <= axis:
        raise file.error(f"{name} has shape {tuple(shape)}, expected a kernel")
    return int(shape[axis])
