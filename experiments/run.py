"""fit | validate | test | sample: one config in, one run folder out."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.plugins.environments import SLURMEnvironment
from omegaconf.errors import OmegaConfBaseException

from datamodules.base import ClipData
from datamodules.errors import BenchError
from experiments import wandb_log
from experiments.arguments import expand
from experiments.classes import load_class, short_name
from experiments.commands import Commands
from experiments.parser import SuiteParser
from experiments.ranks import is_rank_zero
from experiments.record import (
    decisive,
    differences,
    find_run,
    identity,
)
from experiments.trainer import SuiteTrainer, refusals
from lightning_modules import preempt
from lightning_modules.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint
from lightning_modules.callbacks.ema import GeneratorEMA
from lightning_modules.callbacks.evaluate import Evaluate
from lightning_modules.callbacks.finite import FiniteLoss
from lightning_modules.callbacks.log import MetricsLog
from lightning_modules.callbacks.preempt import Preempt, requeue
from lightning_modules.callbacks.progress import StepProgress
from lightning_modules.callbacks.rank_rng import RankRng
from lightning_modules.callbacks.record import RunRecord
from lightning_modules.callbacks.sample_writer import SampleWriter
from lightning_modules.contract import Method

OBJECTS = {"model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders"}
SKIP = OBJECTS | {"ckpt_path", "weights_only"}


class SuiteCLI(Commands, LightningCLI):
    """LightningCLI with a run identity: the same config again resumes, or is skipped when it is finished."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """What this module runs; everything that we decide ourselves is hidden."""
        return {"fit": SKIP, "validate": SKIP | {"verbose"}, "test": SKIP | {"verbose"}, "sample": SKIP}

    def add_arguments_to_parser(self, parser: Any) -> None:
        """The suite's own keys: each callback has one, since lists in a later file replace earlier ones."""
        parser.add_argument("--name", type=str, default="run", help="Display name; the folder is <name>-<hash>.")
        parser.add_argument(
            "--runs", type=str, default=os.environ.get("REELBENCH_RUNS", "runs"), help="Folder that holds the runs."
        )
        parser.add_argument("--scale", type=str, default="paper", help="Tag shown beside results: paper or cpu.")
        parser.add_argument("--compile", type=bool, default=False, help="torch.compile the generator.")
        parser.add_argument(
            "--weights", type=str, default="last", help="For validate, test, sample: last, best, or a .ckpt file."
        )
        parser.add_class_arguments(wandb_log.WandbSettings, "wandb")
        for cls, key in (
            (GeneratorEMA, "ema"),
            (Evaluate, "evaluate"),
            (SampleWriter, "samples"),
            (Preempt, "preempt"),
            (Checkpoint, "checkpoint"),
        ):
            parser.add_lightning_class_args(cls, key)

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Without Lightning's warning that both `args` and a command line are there."""
        try:
            self.config = parser.parse_args(args)
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise BenchError(
                f"config key {error.full_key}: {reason}. Where it points into data or model, that config is missing: "
                "add one, such as --config data/shape_motion"
            ) from error

    def _parse_ckpt_path(self) -> None:
        """Lightning lets a checkpoint's hyper-parameters overrule the command line; here they never do."""

    # Everything that can be wrong with a config is said here, before anything is built.

    def before_instantiate_classes(self) -> None:
        """Checks the config, finds the run folder, writes config.yaml."""
        cfg = self.config[self.subcommand]
        self._dump_config()
        dump: dict[str, Any] = self.config_dump
        wrong = refusals(dump["trainer"]) + self._unmet_needs(dump)
        if self.subcommand in ("validate", "test") and not dump["evaluate"]["metrics"]:
            wrong.append("evaluate.metrics is empty: name a protocol, such as --config protocol/cpu256")
        if wrong:
            raise BenchError("\n  ".join(wrong))
        self.identity = identity(dump)
        self.folder = self._folder(Path(cfg.runs), cfg.name, dump)
        self.cfg = cfg

    def _unmet_needs(self, dump: dict[str, Any]) -> list[str]:
        model, data = dump["model"], dump["data"]
        method, source = load_class(model["class_path"]), load_class(data["class_path"])
        assert issubclass(method, Method) and issubclass(source, ClipData)
        gives = source.gives(**(data.get("init_args") or {}))
        missing = method.needs(**(model.get("init_args") or {})) - gives
        if not missing:
            return []
        return [
            f"{short_name(model['class_path'])} needs {', '.join(sorted(missing))}; "
            f"{short_name(data['class_path'])} gives {', '.join(sorted(gives))}"
        ]

    def _folder(self, runs: Path, name: str, dump: dict[str, Any]) -> Path:
        named = self.expanded
        source = named.run or named.weights
        if source is not None and named.recorded != self.identity[:12]:
            was = yaml.safe_load(Path(named.argv[named.argv.index("--config") + 1]).read_text(encoding="utf-8"))
            changed = differences(decisive(was), decisive(dump)) or ["the file itself was edited"]
            raise BenchError(
                f"{source} is the run of another config; a recorded config is resolved, so overriding it would "
                f"leave what depends on the value behind. Changed: {'; '.join(changed)}. "
                "Start a new run from the configs that it was composed of."
            )
        return named.run or find_run(runs, name, self.identity)

    def instantiate_classes(self) -> None:
        """What a class says of its arguments, without the parser's account of how it tried them.

        Raises:
            BenchError: an argument that its class refuses.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, BenchError):
                cause = cause.__cause__ or cause.__context__
            raise cause or error from None

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """The suite's callbacks around those of the config."""
        cfg = self.cfg
        loggers: list[Any] = []
        if self.subcommand == "fit":
            loggers.append(MetricsLog(self.folder / "metrics.csv"))
        if self.subcommand != "sample" and cfg.wandb.enabled and not self._skipped():
            loggers.append(self._wandb())
        if cfg.trainer.enable_progress_bar is False:
            kept = [c for c in self.trainer_defaults["callbacks"] if not isinstance(c, StepProgress)]
            self.trainer_defaults = {**self.trainer_defaults, "callbacks": kept}
        plugins: list[Any] = [AtomicCheckpointIO()]
        if SLURMEnvironment.detect():
            # Lightning's own requeue saves inside the signal handler: two ranks were seen to hang in it.
            plugins.append(SLURMEnvironment(auto_requeue=False))
        trainer = super().instantiate_trainer(
            logger=loggers, default_root_dir=str(self.folder), plugins=plugins, use_distributed_sampler=False, **kwargs
        )
        for logger in loggers:
            if isinstance(logger, wandb_log.WandbLogger):
                writer = next(c for c in trainer.callbacks if isinstance(c, SampleWriter))  # type: ignore[attr-defined]
                trainer.callbacks.append(wandb_log.WandbClips(writer, logger))  # type: ignore[attr-defined]
        trainer.callbacks = _ordered(trainer.callbacks)  # type: ignore[attr-defined]
        return trainer

    def _wandb(self) -> Any:
        dump, short = self.config_dump, self.identity[:12]
        seedless = identity({**dump, "seed_everything": None})
        job = "train" if self.subcommand == "fit" else "eval"
        protocol = self.config_init[self.subcommand].evaluate.protocol
        return wandb_log.wandb_logger(
            self.config_init[self.subcommand].wandb,
            folder=self.folder,
            run_id=short if job == "train" else f"{short}-eval",
            name=f"{self.cfg.name}-seed{dump['seed_everything']}",
            group=f"{self.cfg.name}-{seedless[:8]}",
            job_type=job,
            tags=[short_name(dump["model"]["class_path"]), self.datamodule.name, self.cfg.scale, protocol.label],
            config=dump,
        )


def _ordered(callbacks: list[Any]) -> list[Any]:
    """The record first, so that the log is cut back before anything is logged; checkpoints last."""
    rank = {RunRecord: 0, FiniteLoss: 1, RankRng: 2, GeneratorEMA: 3, Evaluate: 4, SampleWriter: 5, Preempt: 6}
    return sorted(callbacks, key=lambda c: 9 if isinstance(c, Checkpoint) else rank.get(type(c), 8))


def _set_voices() -> None:
    """Our data sets speak; Lightning's notes on what is recorded anyway, or meant for others, do not."""
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # pix2pixHD checks batches there, the data widen them elsewhere
    warnings.filterwarnings("ignore", message="You have overridden `on_before_batch_transfer` in `LightningModule`")
    warnings.filterwarnings("ignore", message="`isinstance.treespec, LeafSpec.` is deprecated")
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    data = logging.getLogger("datamodules")  # building a cache takes a while, and says so
    if not data.handlers:
        data.addHandler(logging.StreamHandler())
    data.setLevel(logging.INFO)


def build(command: str, argv: list[str], cli_class: type[SuiteCLI] = SuiteCLI) -> SuiteCLI:
    """Checks the config, builds the objects and runs the command; returns what was built.

    Args:
        command: fit, validate, test or sample.
        argv: the rest of the command line; short config names, run folders and exports are resolved here.
        cli_class: a subclass may leave out running.
    """
    expanded = expand(argv)
    _set_voices()
    bound = type(cli_class.__name__, (cli_class,), {"expanded": expanded})
    return bound(
        Method,
        ClipData,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_class=SuiteTrainer,
        parser_class=SuiteParser,
        parser_kwargs={"parser_mode": "omegaconf+", "allow_abbrev": False, "prog": "reelbench"},
        seed_everything_default=0,
        save_config_callback=None,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        trainer_defaults={"callbacks": [RunRecord(), FiniteLoss(), RankRng(), StepProgress()]},
        args=[command, *expanded.argv],
    )


class ConfigOnly(SuiteCLI):
    """For `build`: the config checked and resolved, identity and folder known, and nothing more."""

    def instantiate_classes(self) -> None:
        """Nothing is built."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is run."""


def run_folder(argv: list[str]) -> Path:
    """Where `reelbench fit` with these arguments keeps its run; builds nothing, so it is quick and free of effects."""
    return build("fit", argv, ConfigOnly).folder


def resolved(argv: list[str]) -> dict[str, Any]:
    """The whole config that `reelbench fit` with these arguments would run, as plain values; builds nothing."""
    return build("fit", argv, ConfigOnly).config_dump


def main(command: str, argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    failed, cli = True, None
    try:
        cli = build(command, argv)
        failed = False
    finally:
        wandb_log.close(preempted=cli is not None and cli.preempted, failed=failed)
    if not cli.preempted:
        return 0
    if is_rank_zero():
        job = requeue()
        queued = f", job {job} requeued" if job else ""
        sys.stderr.write(f"reelbench: preempted{queued}; the same command resumes\n")
    return preempt.EXIT_PREEMPTED
