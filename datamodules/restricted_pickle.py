"""Unpickling that looks every name up in a table given to it: nothing is imported, no code of the file is run."""

import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from datamodules.errors import BenchError

DEPTH = 200  # containers within containers; real files stay below 60


class Refused(Exception):
    """The file asks for more than it may."""


class StandIn:
    """What a pickle finds under an allowed name. A pickle may set the state of what it holds, but not of these."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise Refused(f"it holds a state for {type(self).__name__.strip('_')}")


class Function(StandIn):
    """A function that a pickle may call by its name."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *args: Any) -> Any:
        """What `call` makes of the pickle's arguments."""
        return self.call(*args)

    def __setstate__(self, state: Any) -> None:
        raise Refused("it holds a state for a function")


Names = Mapping[tuple[str, str], Any]


def load(
    file: BinaryIO, allowed: Names, *, outside: Callable[[Any], Any] | None = None, encoding: str = "ASCII"
) -> Any:
    """One pickle from where `file` stands, which then stands behind it.

    Args:
        file: seekable.
        allowed: (module, name) as the file spells them -> stand-in; the real ones are never looked up.
        outside: takes the persistent ids; None refuses them.
        encoding: of the byte strings of Python 2.

    Raises:
        Refused: a name or a persistent id that is not allowed, or a memo that no pickler writes.
        Exception: whatever a damaged pickle's opcodes happen to raise; see `told`.
    """
    start = file.tell()
    _scan(file)
    end = file.tell()
    file.seek(start)
    value = _Unpickler(file, allowed, outside, encoding).load()
    file.seek(end)
    return value


def _scan(file: BinaryIO) -> None:
    """Moves to the pickle's end. A memo number far beyond its count of opcodes would make the unpickler fill memory."""
    for count, (opcode, argument, position) in enumerate(pickletools.genops(file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= count:
            raise Refused(f"it asks for memo {argument} at byte {position}, after {count} opcodes")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, allowed: Names, outside: Callable[[Any], Any] | None, encoding: str) -> None:
        super().__init__(file, fix_imports=False, encoding=encoding)
        self._allowed, self._outside = allowed, outside

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise Refused(f"it asks for {module}.{name}")
        return self._allowed[module, name]

    def persistent_load(self, identifier: Any) -> Any:
        if self._outside is None:
            raise Refused(f"it asks for the outside object {identifier!r}")
        return self._outside(identifier)


class Plain:
    """Turns what was unpickled into plain containers and leaves; what is shared stays shared."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}  # the original too, since an id is only good while it lives
        self._depth = 0

    def __call__(self, value: Any) -> Any:
        """The plain form of `value`.

        Raises:
            Refused: an object that is not plain, or containers nested deeper than `DEPTH`.
        """
        if isinstance(value, str | bytes | int | float | bool | None):
            return value
        if id(value) in self._done:
            return self._done[id(value)][1]
        if self._depth == DEPTH:
            raise Refused(f"it holds containers nested more than {DEPTH} deep")
        self._depth += 1
        if isinstance(value, dict):
            made: Any = {}
            self._done[id(value)] = value, made
            made.update({self._key(key): self(item) for key, item in value.items()})
        elif isinstance(value, list):
            made = []
            self._done[id(value)] = value, made
            made.extend(map(self, value))
        elif isinstance(value, tuple):
            made = tuple(map(self, value))
        else:
            made = self.leaf(value)
        self._done[id(value)] = value, made
        self._depth -= 1
        return made

    def leaf(self, value: Any) -> Any:
        """What stands for an object that is no container."""
        refuse(f"an object of {type(value).__name__}")

    def _key(self, key: Any) -> Any:
        if not isinstance(key, str | bytes | int | float | bool | None):
            refuse(f"a key of {type(key).__name__}")
        return key


def refuse(what: str) -> NoReturn:
    """Raises `Refused`."""
    raise Refused(f"it holds {what}")


@contextmanager
def told(path: Path, kind: str, reads: str) -> Iterator[None]:
    """Errors of reading `path` as one message.

    Args:
        kind: what the file should be.
        reads: what is read of such a file.

    Raises:
        BenchError: in place of any exception.
    """
    try:
        yield
    except BenchError:
        raise
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror or error}") from error
    except Refused as error:
        raise BenchError(f"{path} is refused: {error}; only {reads} are read") from None
    except Exception as error:  # a damaged pickle raises whatever its opcodes happen to raise
        raise BenchError(f"{path} is not a readable {kind} ({type(error).__name__}: {error})") from error
