"""What a method's `convert.py` makes of official files, and how strictly that must fit the method's networks.

Such a module has a docstring whose first line says which files it takes, `CLASSES`, the names of objects that may be
in them, and `convert(files) -> Conversion`. It is found by its place, `lightning_modules/METHOD/convert.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, WeightFile

State = dict[str, Tensor]
COUNTER = "num_batches_tracked"  # of BatchNorm; frameworks before torch 0.4.1 do not count
# What of a pickled layer decides what it computes.
SETTINGS = (
    *("kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "scale_factor", "hidden_size"),
    *("eps", "negative_slope"),
)


@dataclass
class Conversion:
    """Official weights under this bench's names.

    Attributes:
        class_path: of the method.
        init_args: of it, as far as the files tell; the rest keeps its defaults.
        states: the method's attribute, such as `generator`, -> its state dict.
        files: of each of `states`, the file that it came from.
        left_out: entry of a file -> why it is not kept.
        data: packaged config of data that the method can be sampled with; None where any will do.
    """

    class_path: str
    init_args: dict[str, Any]
    states: dict[str, State] = field(default_factory=dict)
    files: dict[str, WeightFile] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    data: str | None = None

    def fit(self, method: nn.Module) -> list[str]:
        """Makes `states` load into the networks of `method`, which may lie on the meta device.

        Returns:
            Remarks: entries that the files lack and this bench does not need from them.

        Raises:
            BenchError: names every entry that is missing, unknown, of a wrong shape or not finite.
        """
        remarks = []
        for attribute, state in self.states.items():
            wanted = method.get_submodule(attribute).state_dict()
            counters = [name for name in wanted if name.endswith(COUNTER) and name not in state]
            if counters:
                state.update({name: torch.zeros((), dtype=torch.int64) for name in counters})
                remarks.append(f"{attribute}: {len(counters)} counters {COUNTER} are not in the file: set to 0")
            if wrong := list(_misfits(state, wanted)):
                built = ", ".join(f"{key} {value}" for key, value in self.init_args.items())
                names = "\n  ".join(wrong)
                raise self.files[attribute].error(f"does not fit {attribute} as built with {built}:\n  {names}")
            self.states[attribute] = {
                name: state[name].to(like.dtype).reshape(like.shape).clone() for name, like in wanted.items()
            }
        return remarks


def _misfits(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in wanted if name not in state)
    yield from (f"{name} is unknown" for name in state if name not in wanted)
    for name, like in wanted.items():
        if name not in state:
            continue
        tensor = state[name]
        if tensor.shape != like.shape:
            yield f"{name} has shape {tuple(tensor.shape)}, expected {tuple(like.shape)}"
        elif tensor.is_floating_point() != like.is_floating_point():
            yield f"{name} is of {tensor.dtype}, expected {like.dtype}"
        elif not torch.isfinite(tensor).all():
            yield f"{name} holds NaN or infinity"


def check_layers(
    found: Any, wanted: nn.Module, path: str, file: WeightFile, names: Mapping[str, str] | None = None
) -> None:
    """The layers of a pickled module are those of ours, with the same settings: weights alone do not tell a stride.

    Args:
        found: the pickled module.
        wanted: our network; its own class may have another name.
        path: of `found`, for errors.
        names: official class -> ours, where a layer has a class of its own; without its module.

    Raises:
        BenchError: another layer, or one with other settings.
    """
    if not isinstance(found, Instance):
        raise file.error(f"{path} is {type(found).__name__}, expected a module")
    for name in SETTINGS:
        theirs, ours = found.fields.get(name), getattr(wanted, name, None)
        if theirs is not None and ours is not None and _even(theirs) != _even(ours):
            raise file.error(f"{path} has {name} {theirs}, expected {ours}")
    children = found.fields.get("_modules") or {}
    ours = dict(wanted.named_children())
    if list(children) != list(ours):
        raise file.error(f"{path} has the parts {', '.join(children) or 'none'}, expected {', '.join(ours) or 'none'}")
    for name, child in ours.items():
        theirs = children[name]
        if isinstance(theirs, Instance):
            kind = (names or {}).get(theirs.short_name, theirs.short_name)
            if kind != type(child).__name__:
                raise file.error(f"{path}.{name} is {theirs.short_name}, expected {type(child).__name__}")
        check_layers(theirs, child, f"{path}.{name}", file, names)


def _even(value: Any) -> Any:
    """(2, 2) as 2, as layers take it."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def field_of(module: Instance, name: str, file: WeightFile) -> int:
    """A whole number that a pickled module keeps of its constructor.

    Raises:
        BenchError: it is not there.
    """
    value = module.fields.get(name)
    if not isinstance(value, int):
        raise file.error(f"{module.class_name} holds {name} {value!r}, expected a whole number")
    return value


def step_of(file: WeightFile) -> int | None:
    """The last number in the file's name, which official codes set to the training step."""
    numbers = re.findall(r"\d+", file.path.stem)
    return int(numbers[-1]) if numbers else None


def one_of(files: Mapping[str, WeightFile], attribute: str, file: WeightFile) -> None:
    """Refuses a second file of the same network.

    Raises:
        BenchError: `attribute` has one already.
    """
    if attribute in files:
        raise BenchError(f"{file.path} and {files[attribute].path} both hold a {attribute}: name one")
