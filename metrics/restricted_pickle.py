"""Reads pickles of plain containers and numpy arrays, and nothing else: no code of the file is run."""

import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from datamodules.errors import BenchError

_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def load_arrays(path: Path) -> Any:
    """The pickled dicts, lists, tuples, strings, numbers and arrays of a file.

    Names that a pickle of numpy arrays holds (`_reconstruct`, `ndarray`, `dtype`) are looked up in this module, never
    in numpy; every other name is refused before anything of it is imported.

    Raises:
        BenchError: the file is no such pickle; names what it asked for.
    """
    try:
        with path.open("rb") as file:
            return _unwrapped(_Unpickler(file).load())
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror or error}") from error
    except _Refused as error:
        raise BenchError(
            f"{path} is refused: {error}; only dicts, lists and numpy arrays of numbers are read"
        ) from None
    except Exception as error:  # a damaged pickle raises whatever its opcodes happen to raise
        raise BenchError(
            f"{path} is not a readable pickle of numpy arrays ({type(error).__name__}: {error})"
        ) from error


class _Refused(Exception):
    """The pickle asks for more than arrays."""


class _Dtype:
    """Stands in for numpy.dtype: only numbers, only whole bytes."""

    def __init__(self, *args: Any) -> None:
        code = args[0] if args else None
        if not isinstance(code, str) or code not in _KINDS:
            raise _Refused(f"it holds an array of dtype {code!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|") or any(part is not None for part in state[2:5]):
            raise _Refused("it holds an array of a structured dtype")
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stands in for numpy.ndarray while the pickle is read."""

    def __init__(self, *_: Any) -> None:
        _refuse("ndarray called directly")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise _Refused("it holds an array of objects")
        self.value = np.frombuffer(content, dtype.value).reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Stands in for numpy's `_reconstruct(ndarray, (0,), b"b")`, after which the state follows."""

    __slots__ = ()

    def __call__(self, subtype: Any, *_: Any) -> _Array:
        if subtype is not _Array:
            _refuse(f"_reconstruct of {subtype!r}")
        return _Array.__new__(_Array)

    def __setstate__(self, state: Any) -> None:
        _refuse("a state for a function")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _Refused(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, identifier: Any) -> NoReturn:
        raise _Refused(f"it asks for the outside object {identifier!r}")


def _refuse(what: str) -> NoReturn:
    raise _Refused(f"it holds {what}")


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unwrapped(item) for item in value)
    if isinstance(value, _Array):
        if not hasattr(value, "value"):
            _refuse("an array without content")
        return value.value
    if isinstance(value, str | bytes | int | float | bool | None):
        return value
    _refuse(f"an object of {type(value).__name__}")
