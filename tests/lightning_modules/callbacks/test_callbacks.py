"""Callbacks by themselves; their life in a run that is killed and resumed is tested in tests/system."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import lightning_modules.preempt as preempt
from datamodules.errors import BenchError
from lightning_modules.callbacks.ema import GeneratorEMA, eval_mode, sampling_weights
from lightning_modules.callbacks.log import MetricsLog
from lightning_modules.callbacks.preempt import Preempt, requeue
from lightning_modules.callbacks.rank_rng import RankRng


def at_step(step: int, rank: int = 0) -> Any:
    return SimpleNamespace(fit_loop=SimpleNamespace(total_batch_idx=step), global_rank=rank)


def drawn(step: int, rank: int = 0, seed: int = 0) -> float:
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    RankRng().on_train_batch_start(at_step(step, rank), None, {"step": step}, 0)  # type: ignore[arg-type]
    return float(torch.randn(()))


def test_noise_depends_on_seed_step_and_rank_alone() -> None:
    first = drawn(3)
    torch.randn(7)
    assert drawn(3) == first
    assert len({first, drawn(4), drawn(3, rank=1), drawn(3, seed=1), drawn(3, seed=2**62)}) == 5


@pytest.mark.parametrize("batch", [{"step": 8}, {"clips": {"step": 8}, "frames": {"step": 8}}])
def test_stream_at_another_step_than_the_trainer_is_stopped(batch: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="stream gave step 8 while the trainer is at step 5"):
        RankRng().on_train_batch_start(at_step(5), None, batch, 0)  # type: ignore[arg-type]


class Averaged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2))
        self.device = torch.device("cpu")


def test_ema_averages_parameters_and_copies_buffers() -> None:
    module: Any = Averaged()
    ema, trainer = GeneratorEMA(decay=0.75), SimpleNamespace(global_step=0)
    ema.setup(trainer, module, "fit")  # type: ignore[arg-type]
    start = module.generator[0].weight.detach().clone()
    expected = start.clone()
    for step in (1, 2, 2, 3):  # the second 2: a step in which the generator did not move
        trainer.global_step = step
        with torch.no_grad():
            module.generator[0].weight.add_(1.0)
            module.generator[1].running_mean.add_(2.0)
        if step > ema._seen:
            expected = 0.75 * expected + 0.25 * module.generator[0].weight.detach()
        ema.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
    assert ema.shadow is not None
    torch.testing.assert_close(ema.shadow[0].weight, expected)  # type: ignore[index]
    assert torch.equal(ema.shadow[1].running_mean, module.generator[1].running_mean)  # type: ignore[index]
    again = GeneratorEMA(decay=0.75)
    again.setup(trainer, Averaged(), "fit")  # type: ignore[arg-type]
    again.load_state_dict(ema.state_dict())
    assert torch.equal(again.shadow[0].weight, ema.shadow[0].weight)  # type: ignore[index]


def test_sampling_weights_swaps_and_restores_everything() -> None:
    module: Any = Averaged()
    module.generator[1].eval()  # a mode of its own, which must come back
    ema, trainer = GeneratorEMA(decay=0.5), SimpleNamespace(global_step=0, callbacks=[])
    ema.setup(trainer, module, "fit")  # type: ignore[arg-type]
    trainer.callbacks = [ema]
    live = module.generator
    with pytest.raises(ZeroDivisionError), sampling_weights(trainer, module):  # type: ignore[arg-type]
        assert module.generator is ema.shadow and not module.training and not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert module.generator is live and module.training and not live[1].training and torch.is_grad_enabled()
    with eval_mode(module):
        assert not any(m.training for m in module.modules())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_ema_decay_out_of_range(decay: float) -> None:
    with pytest.raises(BenchError, match=r"ema\.decay"):
        GeneratorEMA(decay=decay)


def test_log_is_cut_back_to_the_restored_step(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    for step in range(6):
        log.log_metrics({"train/a": step / 3, "epoch": 0}, step=step)
        log.log_metrics({"b,with a comma": 1.0}, step=step)
    before = (tmp_path / "metrics.csv").read_text().splitlines(keepends=True)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("6,train/a,0.1")  # cut short by a kill
    MetricsLog(tmp_path / "metrics.csv").rewind(4)
    assert (tmp_path / "metrics.csv").read_text() == "".join(before[:9])
    assert not any("epoch" in line for line in before) and float(before[3].split(",")[2]) == 1 / 3
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_one_rank_looks_at_every_step_and_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preempt, "_requested", False)
    trainer: Any = SimpleNamespace(world_size=1, global_step=3)
    callback: Any = Preempt(every=8)
    callback.on_train_batch_end(trainer, None, None, None, 0)
    assert not callback.stop
    preempt.request()
    callback.on_train_batch_end(trainer, None, None, None, 0)
    preempt.clear()
    assert callback.stop and callback.check(trainer)


def test_several_ranks_agree_at_every_eighth_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preempt, "_requested", False)
    asked: list[bool] = []

    def reduce(decision: bool, all: bool) -> bool:
        asked.append(decision)
        return True  # another rank was asked

    trainer: Any = SimpleNamespace(
        world_size=2, global_step=3, strategy=SimpleNamespace(reduce_boolean_decision=reduce)
    )
    callback: Any = Preempt(every=8)
    callback.on_train_batch_end(trainer, None, None, None, 0)
    assert asked == [] and not callback.stop
    trainer.global_step = 16
    callback.on_train_batch_end(trainer, None, None, None, 0)
    assert asked == [False] and callback.stop


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "77"}, "77"),
        ({"SLURM_JOB_ID": "79", "SLURM_ARRAY_JOB_ID": "78", "SLURM_ARRAY_TASK_ID": "3"}, "78_3"),
    ],
)
def test_requeue_names_the_job(
    variables: dict[str, str], job: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert requeue() == job
    calls = (tmp_path / "calls").read_text().splitlines() if job else []
    assert calls == ([f"requeue {job}"] if job else [])
