import pytest
import torch

from lightning_modules.schedules import tail_decay


def test_tail_decay_is_flat_then_linear_to_nothing() -> None:
    rates = [tail_decay(step, 10, 0.4) for step in range(11)]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    assert [tail_decay(step, 10, 0.0) for step in (0, 9)] == [1, 1]
    assert tail_decay(3, 4, 1.0) == 0.25


def test_tail_decay_equals_torch_s_own_schedule() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1 / 20, total_iters=19)
    for step in range(20):
        assert tail_decay(step, 20, 1.0) == pytest.approx(torchs.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        torchs.step()
