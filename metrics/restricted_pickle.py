"""Reads pickles of plain containers and numpy arrays, and nothing else: no code of the file is run."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.restricted_pickle import Function, Plain, Refused, StandIn, load, refuse, told

_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def load_arrays(path: Path) -> Any:
    """The pickled dicts, lists, tuples, strings, numbers and arrays of a file.

    Names that a pickle of numpy arrays holds (`_reconstruct`, `ndarray`, `dtype`) are looked up in this module, never
    in numpy; every other name is refused before anything of it is imported.

    Raises:
        BenchError: the file is no such pickle; names what it asked for.
    """
    with told(path, "pickle of numpy arrays", "dicts, lists and numpy arrays of numbers"), path.open("rb") as file:
        return _Arrays()(load(file, _ALLOWED))


class _Dtype(StandIn):
    """Stands in for numpy.dtype: only numbers, only whole bytes."""

    __slots__ = ("value",)

    def __init__(self, *args: Any) -> None:
        code = args[0] if args else None
        if not isinstance(code, str) or code not in _KINDS:
            raise Refused(f"it holds an array of dtype {code!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|") or any(part is not None for part in state[2:5]):
            raise Refused("it holds an array of a structured dtype")
        self.value = self.value.newbyteorder(order)


class _Array(StandIn):
    """Stands in for numpy.ndarray while the pickle is read."""

    __slots__ = ("value",)

    def __init__(self, *_: Any) -> None:
        refuse("ndarray called directly")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise Refused("it holds an array of objects")
        self.value = np.frombuffer(content, dtype.value).reshape(shape, order="F" if fortran else "C")


def _reconstruct(subtype: Any, *_: Any) -> _Array:
    """Stands in for numpy's `_reconstruct(ndarray, (0,), b"b")`, after which the state follows."""
    if subtype is not _Array:
        refuse(f"_reconstruct of {subtype!r}")
    return _Array.__new__(_Array)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): Function(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): Function(_reconstruct),
}


class _Arrays(Plain):
    def leaf(self, value: Any) -> Any:
        if not isinstance(value, _Array):
            return super().leaf(value)
        if not hasattr(value, "value"):
            refuse("an array without content")
        return value.value
