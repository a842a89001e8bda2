"""Files in the layouts that networks were published in, with made-up values."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def listing_digest(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """Sixteen digits for names and shapes."""
    return hashlib.sha256("\n".join(f"{name} {shape}" for name, shape in sorted(shapes)).encode()).hexdigest()[:16]


def values_for(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of a network's names and shapes: small weights, variances about 1."""
    rng = torch.Generator().manual_seed(seed)
    values = {}
    for name, entry in network.state_dict().items():
        if not entry.is_floating_point():
            values[name] = torch.zeros_like(entry, device="cpu")
            continue
        drawn = torch.randn(entry.shape, generator=rng) / max(1, entry[:1].numel()) ** 0.5
        values[name] = drawn.abs() + 0.5 if name.endswith("running_var") else drawn
    return values


def write_torch(path: Path, values: Mapping[str, Tensor], unused: Mapping[str, tuple[int, ...]] | None = None) -> Path:
    """Saved by torch; `unused` entries are there with their shapes and one number's bytes."""
    more = {name: torch.zeros(1).expand(shape) for name, shape in (unused or {}).items()}
    torch.save({**values, **more}, path)
    return path


def write_chainer(path: Path, values: Mapping[str, Tensor]) -> Path:
    """`conv1a.weight` as `conv1a/W`."""
    leaves = {"weight": "W", "bias": "b"}
    arrays = {}
    for name, value in values.items():
        unit, _, leaf = name.rpartition(".")
        arrays[f"{unit}/{leaves[leaf]}"] = value.numpy()
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def face_name(key: str) -> str:
    """The name in face-api's manifest of a key of the network."""
    if key == "fc.weight":
        return "fc"
    name = key.replace(".conv.weight", "/conv/filters").replace(".conv.bias", "/conv/bias")
    for leaf in ("weights", "biases"):
        name = name.removesuffix(f".{leaf}") + f"/scale/{leaf}" if name.endswith(f".{leaf}") else name
    return name.replace(".", "/")


def write_face(folder: Path, values: Mapping[str, Tensor]) -> Path:
    """A manifest and one shard, quantised to bytes but for the last entry."""
    entries, shard = [], b""
    for key, value in values.items():
        stored = value.permute({4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, (0,))).contiguous().numpy()
        entry: dict[str, object] = {"name": face_name(key), "shape": list(stored.shape), "dtype": "float32"}
        if key == "fc.weight":
            shard += stored.astype("<f4").tobytes()
        else:
            low, scale = float(stored.min()), float(np.ptp(stored)) / 255 or 1.0
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
            shard += np.round((stored - low) / scale).astype("u1").tobytes()
        entries.append(entry)
    (folder / "faces.bin").write_bytes(shard)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps([{"paths": ["faces.bin"], "weights": entries}]))
    return manifest
