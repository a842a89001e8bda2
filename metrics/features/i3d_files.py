"""Reads I3D weights in the namings they were published in, strictly, and stores them in one."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.files import write_whole
from metrics.features.i3d_network import I3DNetwork
from metrics.restricted_pickle import load_arrays

_LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # what torch.save wrote before it wrote zip files


def read(path: Path) -> dict[str, Tensor]:
    """The state of `I3DNetwork` from a published file: flax (a pickle of arrays), VideoGPT/piergiaj or hassony2.

    Counters of batches that batch normalisation keeps are passed over: they move nothing.

    Raises:
        BenchError: no readable file, or a key is missing, odd, or of another shape; names it.
    """
    found = _contents(path)
    naming, keys = _naming(found)
    counters = {key for key in found if key.endswith(".num_batches_tracked")}
    missing = sorted(keys.keys() - found.keys())
    odd = sorted(found.keys() - keys.keys() - counters)
    if missing or odd:
        said = [f"{word} {_some(names)}" for word, names in (("lacks", missing), ("has the odd", odd)) if names]
        raise BenchError(f"{path} is no I3D with 400 classes in {naming} naming: it {' and '.join(said)}")
    with torch.device("meta"):
        wanted = I3DNetwork().state_dict()
    state = {}
    for key, own in keys.items():
        value = _from_flax(key, found[key]) if naming == "flax" else found[key]
        if value.shape != wanted[own].shape:
            raise BenchError(f"{path}: {key} is {tuple(value.shape)}, I3D has {tuple(wanted[own].shape)} as {own}")
        if not (value.is_floating_point() and value.isfinite().all()):
            raise BenchError(f"{path}: {key} must hold finite floating point numbers")
        state[own] = value.float().contiguous()
    return {own: state.get(own, torch.ones(like.shape)) for own, like in wanted.items()}  # flax knows no gamma


def convert(published: Path, target: Path) -> None:
    """Writes a published file as safetensors in VideoGPT naming."""
    write_whole(target, save(read(published)))


def flax_keys() -> dict[str, str]:
    """Published key -> key of `I3DNetwork.state_dict()`; 230 of them, since TensorFlow's normalisation has no gamma."""
    names = {
        "conv3d.weight": "params/{}/Conv_0/kernel",
        "conv3d.bias": "params/{}/Conv_0/bias",
        "bn.bias": "params/{}/BatchNorm_0/bias",
        "bn.running_mean": "batch_stats/{}/BatchNorm_0/mean",
        "bn.running_var": "batch_stats/{}/BatchNorm_0/var",
    }
    return {names[leaf].format(_flax_unit(unit)): key for key, unit, leaf in _own_keys() if leaf in names}


def torch_keys() -> dict[str, str]:
    """The naming of piergiaj, VideoGPT, TATS and cd-fvd, which is this network's own."""
    return {key: key for key, _, _ in _own_keys()}


def hassony_keys() -> dict[str, str]:
    """The naming of hassony2, from which StyleGAN-V's network descends."""
    return {f"{_hassony_unit(unit)}.{leaf.replace('bn.', 'batch3d.')}": key for key, unit, leaf in _own_keys()}


NAMINGS: Mapping[str, Callable[[], dict[str, str]]] = {
    "flax": flax_keys,
    "VideoGPT": torch_keys,
    "hassony2": hassony_keys,
}


def _own_keys() -> Iterator[tuple[str, str, str]]:
    """Key, unit (`Mixed_3b.b1a`) and leaf (`conv3d.weight`) of each entry."""
    with torch.device("meta"):
        state = I3DNetwork().state_dict()
    for key in state:
        unit, kind, leaf = key.rsplit(".", 2)
        yield key, unit, f"{kind}.{leaf}"


def _flax_unit(unit: str) -> str:
    if unit == "logits":
        return "Logits/Conv3d_0c_1x1"
    block, _, branch = unit.partition(".")
    if not branch:
        return block
    size = "3x3" if branch in ("b1b", "b2b") else "1x1"
    return f"{block}/Branch_{branch[1]}/Conv3d_0{branch[2:] or 'a'}_{size}"


def _hassony_unit(unit: str) -> str:
    if unit == "logits":
        return "conv3d_0c_1x1"
    block, _, branch = unit.partition(".")
    place = {"a": ".0", "b": ".1", "": ""}[branch[2:]] if branch else ""
    return block.lower() + (f".branch_{branch[1]}{place}" if branch else "")


def _naming(found: Mapping[str, Tensor]) -> tuple[str, dict[str, str]]:
    """The naming that shares most keys with the file; VideoGPT's where none does."""
    shared = {naming: len(keys().keys() & found.keys()) for naming, keys in NAMINGS.items()}
    naming = max(shared, key=lambda name: (shared[name], name == "VideoGPT"))
    return naming, NAMINGS[naming]()


def _from_flax(key: str, value: Tensor) -> Tensor:
    if key.endswith("/kernel") and value.ndim == 5:
        return value.permute(4, 3, 0, 1, 2)  # T H W in out -> out in T H W
    if key.startswith("batch_stats/") and value.shape[:-1].numel() == 1:
        return value.flatten()  # published as 1 1 1 1 C
    return value


def _contents(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by key; its beginning says how it was written."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise BenchError(f"the I3D weights {path} cannot be read: {error.strerror or error}") from error
    if head.startswith((b"PK", _LEGACY_TORCH)):
        return _torch_contents(path)
    if head[8:9] == b"{":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise BenchError(f"{path} is a damaged safetensors file ({error})") from error
    return dict(_flat(load_arrays(path), path))


def _torch_contents(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its zip reader or unpickler happens to raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"{path} is no torch file of plain weights ({reason})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BenchError(f"{path} must hold a state dict of tensors, found {type(state).__name__}")
    return dict(state)


def _flat(tree: Any, path: Path, above: str = "") -> Iterator[tuple[str, Tensor]]:
    if not isinstance(tree, dict):
        raise BenchError(
            f"{path} must hold nested dicts of arrays, found {type(tree).__name__} at {above or 'its top'}"
        )
    for key, value in tree.items():
        below = f"{above}/{key}" if above else str(key)
        if isinstance(value, np.ndarray):
            yield below, torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
        else:
            yield from _flat(value, path, below)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
