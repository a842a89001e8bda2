"""What the readers of other codes' files make of them: plain containers, tensors, and objects as bags of fields."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from datamodules.errors import BenchError
from datamodules.restricted_pickle import Refused

PARTS = ("_parameters", "_buffers", "_modules")  # where a module of PyTorch keeps what a state dict names


class Instance:
    """An object of the file's own class, which was not looked up: what it held, by name.

    Attributes:
        class_name: as the file spells it, such as `torch.nn.modules.conv.Conv2d` or `cudnn.ReLU`.
        fields: its attributes; empty for a class or function that the file only names.
    """

    __slots__ = ("class_name", "fields")

    def __init__(self, class_name: str, fields: dict[str, Any] | None = None) -> None:
        self.class_name = class_name
        self.fields: dict[str, Any] = {} if fields is None else fields

    @property
    def short_name(self) -> str:
        """The last part of the class name."""
        return self.class_name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<{self.class_name}>"


class WeightFile(NamedTuple):
    """A file that was read.

    Attributes:
        path: where it lies.
        format: its format in words.
        content: dicts, lists, tuples, strings, numbers, None, tensors and `Instance`s.
    """

    path: Path
    format: str
    content: Any

    def error(self, reason: str) -> BenchError:
        """An error that names the file."""
        return BenchError(f"{self.path}: {reason}")


def tensors(content: Any) -> dict[str, Tensor]:
    """Every tensor by its path, as a state dict would name it; what is shared appears where it is met first."""
    return dict(_tensors(content, "", set()))


def _tensors(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
        return
    if not isinstance(value, dict | list | tuple | Instance) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Instance):
        items: Any = value.fields.items()
    else:
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        inner = path if isinstance(value, Instance) and key in PARTS else f"{path}.{key}" if path else str(key)
        yield from _tensors(item, inner, seen)


def module_state(module: Instance) -> dict[str, Tensor]:
    """The state dict of a module that was pickled whole."""
    parts = {key: module.fields.get(key) or {} for key in PARTS}
    return {name: value for name, value in tensors(Instance(module.class_name, parts)).items()}


def strided(data: Tensor, size: Sequence[Any], stride: Sequence[Any], offset: Any) -> Tensor:
    """The view of a storage that a file describes.

    Args:
        data: all numbers of the storage, 1-D.
        size, stride, offset: in numbers, the offset from 0.

    Raises:
        Refused: not integers, negative, outside the storage, or larger than it.
    """
    numbers = [*size, *stride, offset]
    if len(size) != len(stride) or len(size) > 16 or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise Refused(f"it holds a tensor of size {size}, strides {stride} and offset {offset}")
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if count else offset - 1
    if last >= len(data) or count > len(data):
        raise Refused(
            f"it holds a tensor of size {tuple(size)}, strides {tuple(stride)} and offset {offset}, "
            f"which does not lie in its storage of {len(data)} numbers"
        )
    return data.as_strided(tuple(size), tuple(stride), data.storage_offset() + offset)  # torch counts from the root
