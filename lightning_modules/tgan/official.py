"""The names of Chainer's snapshots."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError

LEAVES = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "avg_mean": "running_mean",
    "avg_var": "running_var",
}


def load_chainer(network: nn.Module, arrays: Mapping[str, Tensor]) -> None:
    """Fills a network from `dc0/W`, `bn0/gamma` and so on, strictly. Chainer's counter `N` is dropped.

    Raises:
        BenchError: entries that are missing, odd or of another shape.
    """
    wanted = network.state_dict()
    state = {}
    for key, value in arrays.items():
        layer, _, leaf = key.rpartition("/")
        if leaf != "N":
            state[f"{layer.replace('/', '.')}.{LEAVES.get(leaf, leaf)}"] = value
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked") or (key.startswith("bn") and key.endswith("bias") and key not in state):
            state[key] = torch.zeros_like(value)  # no beta is a beta of 0
    wrong = [f"{key} is missing" for key in wanted if key not in state]
    wrong += [f"{key} is unknown" for key in state if key not in wanted]
    wrong += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if wrong:
        raise BenchError(f"the snapshot does not fit {type(network).__name__}: {'; '.join(wrong[:4])}")
    network.load_state_dict(state)
