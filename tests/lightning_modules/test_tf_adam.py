import copy

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules.tf_adam import TFAdam


def by_formula(gradients: np.ndarray, lr: float, beta1: float, beta2: float, eps: float) -> np.ndarray:
    """TensorFlow's documented update, from 0, in float64."""
    p, m, v = (np.zeros(gradients.shape[1]) for _ in range(3))
    for t, g in enumerate(gradients, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        p -= lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps)
    return p


def stepped(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradients: np.ndarray) -> None:
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()


@pytest.mark.parametrize("betas", [(0.5, 0.999), (0.9, 0.99)])
def test_formula(betas: tuple[float, float]) -> None:
    scale = np.array([1.0, 1e-3, 1e-7, 1e-8, 1e-9])
    gradients = np.random.default_rng(0).normal(size=(7, 5)) * scale
    parameter = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = TFAdam([parameter], 1e-2, betas)
    stepped(optimizer, parameter, gradients)
    np.testing.assert_allclose(parameter.detach(), by_formula(gradients, 1e-2, *betas, 1e-8), rtol=1e-9)
    other = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    stepped(torch.optim.Adam([other], 1e-2, betas), other, gradients)
    assert not torch.allclose(other, parameter, rtol=0.1)  # small gradients notice
    assert optimizer.param_groups[0]["eps"] == 1e-8


def test_groups_count_for_themselves_and_come_back() -> None:
    gradients = np.random.default_rng(1).normal(size=(9, 3)) * 1e-8
    one, two = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    optimizer = TFAdam([{"params": [one]}, {"params": [two]}], 1e-2, (0.5, 0.999))
    stepped(optimizer, one, gradients[:4])
    one.grad = None
    stepped(optimizer, two, gradients[4:6])
    kept = copy.deepcopy(optimizer.state_dict())
    again = TFAdam([{"params": [one]}, {"params": [two]}], 1e-2, (0.5, 0.999))
    again.load_state_dict(kept)
    stepped(again, two, gradients[6:])
    for parameter, seen in ((one, gradients[:4]), (two, gradients[4:])):
        np.testing.assert_allclose(parameter.detach(), by_formula(seen, 1e-2, 0.5, 0.999, 1e-8), rtol=1e-9)
