"""Reads weights in TensorFlow.js' format: a manifest in JSON, and shards of bytes that belong together in its order."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import BenchError

_DTYPES = {"float32": "<f4", "uint8": "u1", "uint16": "<u2"}


def read_tfjs(manifest: Path) -> dict[str, Tensor]:
    """The arrays of a manifest by name, in float32 and in TensorFlow's order of axes.

    Quantised ones, uint8 or uint16, are q * scale + min. Shards lie beside the manifest under the names in it.

    Raises:
        BenchError: no manifest, a shard is missing, or their bytes are more or fewer than it describes.
    """
    arrays: dict[str, Tensor] = {}
    for group in _groups(manifest):
        data = b"".join(_shard(manifest, name) for name in group["paths"])
        place = 0
        for entry in group["weights"]:
            raw, scale, offset = _kind(manifest, entry)
            count = math.prod(entry["shape"])
            size = count * raw.itemsize
            if place + size > len(data):
                raise BenchError(f"{manifest}: its shards end at byte {len(data):,}, in {entry['name']}")
            values = np.frombuffer(data, raw, count, place).astype(np.float32) * np.float32(scale) + np.float32(offset)
            arrays[entry["name"]] = torch.from_numpy(values.reshape(entry["shape"]))
            place += size
        if place != len(data):
            raise BenchError(f"{manifest}: its shards have {len(data):,} bytes, it describes {place:,}")
    return arrays


def _groups(manifest: Path) -> list[Mapping[str, Any]]:
    """The manifest's groups, once they have the form they should."""
    try:
        groups: list[Mapping[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))
        entries = [entry for group in groups for entry in group["weights"]]
        formed = all(
            isinstance(entry["name"], str) and all(type(axis) is int and axis > 0 for axis in entry["shape"])
            for entry in entries
        ) and all(isinstance(name, str) for group in groups for name in group["paths"])
    except OSError as error:
        raise BenchError(f"the weights {manifest} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BenchError(f"{manifest} is no manifest of TensorFlow.js weights ({error!r})") from error
    if not (formed and entries):
        raise BenchError(f"{manifest} is no manifest of TensorFlow.js weights: it needs names, shapes and paths")
    return groups


def _kind(manifest: Path, entry: Mapping[str, Any]) -> tuple[np.dtype[Any], float, float]:
    """How an entry is stored, its scale and its offset."""
    quantised = entry.get("quantization") or {}
    stored = quantised.get("dtype", entry.get("dtype"))
    scale, offset = quantised.get("scale", 1.0), quantised.get("min", 0.0)
    if stored not in _DTYPES or not all(isinstance(number, int | float) for number in (scale, offset)):
        raise BenchError(f"{manifest}: {entry['name']} is stored as {stored!r}, read are {', '.join(_DTYPES)}")
    return np.dtype(_DTYPES[stored]), float(scale), float(offset)


def _shard(manifest: Path, name: str) -> bytes:
    path = manifest.parent / name
    if Path(name).name != name:
        raise BenchError(f"{manifest}: the shard {name!r} does not lie beside it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"the shard {path} of {manifest} cannot be read: {error.strerror or error}") from error
