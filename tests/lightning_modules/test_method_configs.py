"""What every packaged config of a method promises beside the contract."""

from pathlib import Path

import pytest
import torch

from experiments.classes import load_class
from lightning_modules.contract import Method
from tests.helpers.built import CPU_CONFIGS, PAPER_CONFIGS, build_only, model_args
from tests.helpers.runs import run


@pytest.mark.parametrize("config", CPU_CONFIGS)
def test_bf16_mixed_step(config: str, tmp_path: Path) -> None:
    cli = build_only(config, tmp_path, "--trainer.precision", "bf16-mixed", "--trainer.max_steps", "1")
    before = [p.detach().clone() for p in cli.model.parameters()]
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    losses = [v for k, v in cli.trainer.callback_metrics.items() if k.startswith("train/")]
    assert losses and all(torch.isfinite(v) for v in losses)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in cli.model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, cli.model.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("config", CPU_CONFIGS)
def test_print_config_round_trip(config: str, tmp_path: Path) -> None:
    first = run("fit", "--config", f"method/{config}", "--config", "protocol/quick", "--print_config")
    assert first.returncode == 0, first.stderr
    printed = tmp_path / "printed.yaml"
    printed.write_text(first.stdout)
    second = run("fit", "--config", printed, "--print_config")
    assert second.stdout == first.stdout and "${" not in first.stdout


@pytest.mark.parametrize("config", PAPER_CONFIGS)
def test_paper_config_builds_on_the_meta_device(config: str) -> None:
    class_path, init_args = model_args(config)
    with torch.device("meta"):
        method = load_class(class_path)(**init_args)
    assert isinstance(method, Method)
    assert all(p.is_meta for p in method.parameters())
    assert (sum(p.numel() for p in method.parameters()) > 0) == method.trains
