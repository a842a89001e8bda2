"""Adam as TensorFlow (and Keras) has it."""

import math
from collections.abc import Callable
from typing import Any

import torch


class TFAdam(torch.optim.Adam):
    """Adds epsilon to the root of the mean square before that is corrected for its start, not after.

    With t steps done, TensorFlow moves a parameter by lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), PyTorch's
    Adam by lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps): its epsilon has to be eps / sqrt(1 - b2^t). The
    parameters of a group begin to be trained together.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of all parameters that have a gradient."""
        own = [group["eps"] for group in self.param_groups]
        try:
            for group in self.param_groups:
                done = self._steps(group)
                group["eps"] = group["eps"] / math.sqrt(1 - group["betas"][1] ** (done + 1))
            return super().step(closure)
        finally:
            for group, eps in zip(self.param_groups, own, strict=True):
                group["eps"] = eps

    def _steps(self, group: dict[str, Any]) -> int:
        """Steps that the group's parameters have done; the count lies on the CPU, so that nothing is waited for."""
        states = (self.state[p] for p in group["params"] if p.grad is not None and p in self.state)
        return int(next((state["step"] for state in states if state), 0))
