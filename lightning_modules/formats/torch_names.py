"""What pickles of PyTorch name, and what stands for it here. Nothing of torch is called but to make tensors."""

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from datamodules.restricted_pickle import Function, Plain, Refused, StandIn, refuse
from lightning_modules.formats.content import Instance, strided

READS = "tensors, plain containers and the classes that the official code is known to save"
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Layers whose pickles hold plain fields and tensors alone. Allowed everywhere: they are never looked up.
LAYERS = {
    "activation": "ReLU LeakyReLU PReLU ELU Tanh Sigmoid Softmax LogSoftmax",
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d",
    "container": "Sequential ModuleList",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "dropout": "Dropout Dropout2d Dropout3d",
    "instancenorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    "linear": "Linear",
    "padding": "ReflectionPad2d ReplicationPad2d ZeroPad2d",
    "pooling": "AvgPool2d AvgPool3d MaxPool2d MaxPool3d",
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNCell",
    "upsampling": "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
}


class StorageKind(StandIn):
    """Stands in for `torch.FloatStorage` and its like."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class Numbers(StandIn):
    """Stands in for a storage: its numbers, 1-D. A legacy file fills them in after the pickle."""

    __slots__ = ("data",)

    def __init__(self, data: Tensor) -> None:
        self.data = data


class _Leaf(StandIn):
    """Stands in for a tensor or a parameter."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Parameter(_Leaf):
    """As torch 0.2 pickled a parameter: the class called with its data, then flags as its state (from memory)."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: Any = True) -> None:
        super().__init__(_known(data).tensor)

    def __setstate__(self, state: Any) -> None:
        """Flags and hooks are nothing to keep."""


def _known(value: Any) -> _Leaf:
    if not isinstance(value, _Leaf):
        refuse(f"a tensor made of {type(value).__name__}")
    return value


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Leaf:
    if not isinstance(storage, Numbers) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        refuse(f"a tensor made of {type(storage).__name__}")
    return _Leaf(strided(storage.data, size, stride, offset))


class _Object(StandIn):
    """Stands in for an object of a class of the file."""

    __slots__ = ("fields",)
    class_name = ""

    def __init__(self) -> None:  # without arguments: objects are made empty, their state follows
        self.fields: dict[Any, Any] = {}

    def __new__(cls) -> "_Object":  # a pickle calls `__new__` alone
        made = super().__new__(cls)
        made.fields = {}
        return made

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise Refused(f"it holds a state of {type(state).__name__} for {self.class_name}")
        self.fields = state


def allowed(classes: Collection[str]) -> dict[tuple[str, str], Any]:
    """Stand-ins by (module, name), made anew for each file.

    Args:
        classes: as `models.VideoGenerator`, what the official code saves beside layers of torch.nn.
    """
    names: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor"): Function(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
        ("torch._utils", "_rebuild_parameter"): Function(lambda data, *_: _known(data)),
        ("torch.nn.parameter", "Parameter"): _Parameter,
        # Some attributes of modules are empty sets; the order of a list does as well.
        **{(module, "set"): Function(list) for module in ("__builtin__", "builtins")},
        **{("torch", name): StorageKind(dtype) for name, dtype in STORAGES.items()},
    }
    layers = {f"torch.nn.modules.{module}.{name}" for module, line in LAYERS.items() for name in line.split()}
    for path in {*classes, *layers, "torch.nn.backends.thnn._get_thnn_function_backend"}:
        module, _, name = path.rpartition(".")
        names[module, name] = type(name, (_Object,), {"__slots__": (), "class_name": path})
    return names


class Read(Plain):
    """Tensors and `Instance`s in place of the stand-ins."""

    def leaf(self, value: Any) -> Any:
        """As `Plain.leaf`; a class that is only named becomes an instance without fields."""
        if isinstance(value, _Leaf):
            return value.tensor
        if isinstance(value, type) and issubclass(value, _Object):
            return Instance(value.class_name)
        if not isinstance(value, _Object):
            return super().leaf(value)
        made = Instance(value.class_name)
        self._done[id(value)] = value, made
        fields = self(value.fields)
        made.fields = {str(name): item for name, item in fields.items()}
        return made


def storage_id(identifier: Any, length: int) -> tuple[str, torch.dtype, int]:
    """Key, type and count of numbers of a storage from its persistent id of `length` parts."""
    if not isinstance(identifier, tuple) or len(identifier) != length or identifier[0] != "storage":
        raise Refused(f"it asks for the outside object {str(identifier)[:80]}")
    _, kind, key, _, count = identifier[:5]
    if not isinstance(kind, StorageKind) or not isinstance(key, str) or not isinstance(count, int) or count < 0:
        raise Refused(f"it asks for the storage {str(identifier)[:80]}")
    return key, kind.dtype, count
