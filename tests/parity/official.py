"""Files of numbers that official networks gave, as they lie under REELBENCH_PARITY."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

PARITY = os.environ.get("REELBENCH_PARITY")
Tensors = dict[str, Tensor]


def official_files(pattern: str) -> list[Path]:
    """The files of a method, in the order of their names; none where the variable is not set."""
    return sorted(Path(PARITY).glob(pattern)) if PARITY else []


class OfficialNumbers:
    """One file: weights, inputs and expected outputs by name, and its sidecar."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.about: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        self.groups: dict[str, Tensors] = {"weights": {}, "input": {}, "output": {}}
        for key, tensor in load_file(path).items():
            group, name = key.split("/", 1)
            self.groups[group][name] = tensor
        self.input, self.expected = self.groups["input"], self.groups["output"]
        self.constructor: dict[str, Any] = self.about["constructor"]

    def check(self, computed: Mapping[str, Tensor]) -> None:
        """Every expected output, and no other, within the sidecar's tolerance."""
        assert set(computed) == set(self.expected) == set(self.about["suggested_atol"])
        for name, tensor in self.expected.items():
            ours = computed[name].detach()
            assert ours.shape == tensor.shape, name
            torch.testing.assert_close(ours, tensor, rtol=0, atol=self.about["suggested_atol"][name], msg=name)
