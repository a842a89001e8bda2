"""Everything a command builds, without running the command."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.arguments import CONFIGS
from experiments.run import SuiteCLI, build

CPU_CONFIGS = sorted(p.stem for p in (CONFIGS / "method").glob("*_cpu.yaml"))
PAPER_CONFIGS = sorted(p.stem for p in (CONFIGS / "method").glob("*.yaml") if not p.stem.endswith("_cpu"))


class Built(SuiteCLI):
    def _run_subcommand(self, subcommand: str) -> None:
        pass


def build_only(config: str, runs: Path, *argv: str) -> Any:
    """The CLI object of `fit` for a packaged method config: model, datamodule, trainer, config_dump."""
    quiet = ["--wandb.enabled", "false", "--trainer.enable_model_summary", "false", "--runs", str(runs)]
    return build("fit", ["--config", f"method/{config}", "--config", "trainer/cpu", *quiet, *argv], Built)


def model_args(config: str) -> tuple[str, dict[str, Any]]:
    """class_path and init_args of a method config, on data of the published size where it names none."""
    given = OmegaConf.load(CONFIGS / "method" / f"{config}.yaml")
    data = {"data": {"init_args": {"size": 64, "frames": 16, "context": 2}}}
    whole: Any = OmegaConf.to_container(OmegaConf.merge(data, given), resolve=True)
    return whole["model"]["class_path"], whole["model"]["init_args"]
