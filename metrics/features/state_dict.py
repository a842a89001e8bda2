"""Reads files of published weights and fills networks with them, strictly."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError


def read_torch(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict that `torch.save` wrote, on the CPU; nothing else in the file is run.

    Raises:
        BenchError: no such file, or it holds anything but tensors by name.
    """
    _check_readable(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its zip reader or unpickler happens to raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"{path} is no torch file of plain weights ({reason})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BenchError(f"{path} must hold a state dict of tensors, found {type(state).__name__}")
    return dict(state)


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of a NumPy `.npz` file; pickled objects in it are refused.

    Raises:
        BenchError: no such file, no archive, or an entry is no array of numbers.
    """
    _check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        return {key: torch.from_numpy(value.astype(value.dtype.newbyteorder("="))) for key, value in arrays.items()}
    except (ValueError, EOFError, TypeError, AttributeError, BadZipFile) as error:  # .npy has no `files`
        raise BenchError(f"{path} is no .npz archive of plain arrays ({error})") from error


def unfilled(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose parameters have no meaning until `fill`: skips seconds of random initialisation."""
    with torch.device("meta"):
        network = build()
    return network.to_empty(device="cpu")


def fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    what: str,
    unused: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> None:
    """Copies `state` into the network; it must have exactly the network's entries and the unused ones.

    Args:
        path, what: the file and the network, for errors.
        unused: shapes of the entries that belong to the file but not to the network.

    Raises:
        BenchError: one message that names the entries that are missing, odd, of another shape or not finite.
    """
    wanted = network.state_dict()
    shared = [key for key in wanted if key in state]
    expected = {key: tuple(value.shape) for key, value in wanted.items()} | dict(unused)
    shapes = [
        f"{key} {tuple(state[key].shape)} in place of {shape}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    kinds = [key for key in shared if state[key].is_floating_point() != wanted[key].is_floating_point()]
    infinite = [key for key in shared if state[key].is_floating_point() and not state[key].isfinite().all()]
    faults = {
        "lacks": [key for key in expected if key not in state],
        "has the odd": [key for key in state if key not in expected],
        "has": shapes,
        "holds numbers of the wrong kind in": kinds,
        "holds NaN or infinity in": infinite,
    }
    said = [f"{word} {some(names)}" for word, names in faults.items() if names]
    if said:
        raise BenchError(f"{path} does not hold the weights of {what}: it {' and '.join(said)}")
    network.load_state_dict({key: state[key] for key in wanted})


def some(names: list[str]) -> str:
    """The first three names and how many there are beside.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise BenchError(f"the weights {path} cannot be read: {error.strerror or error}") from error
