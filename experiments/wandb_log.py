"""W&B as a second sink: local files come first, and nothing is asked for or sent without a key."""

import netrc
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from lightning_modules.callbacks.sample_writer import SampleWriter, sample_folder

HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")


@dataclass
class WandbSettings:
    """Where runs go in W&B.

    Attributes:
        enabled: write a W&B run beside the local record.
        project, entity: of the run.
        tags: beside method, data and scale.
        group: of the run; by default the config without the seed, so that seeds stand together.
    """

    enabled: bool = True
    project: str = "reelbench"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)
    group: str | None = None


def logged_in() -> bool:
    """Whether a key is at hand, in the environment or in ~/.netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    base = os.environ.get("WANDB_BASE_URL")
    hosts = (urlparse(base).hostname,) if base else HOSTS
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any(host in known for host in hosts)


def wandb_logger(
    settings: WandbSettings,
    *,
    folder: Path,
    run_id: str,
    name: str,
    group: str,
    job_type: str,
    tags: list[str],
    config: Mapping[str, Any],
) -> WandbLogger:
    """A logger for one run of this process; `close` it before the next."""
    # 15 s by default: a run killed in its first seconds would leave an unreadable file.
    os.environ.setdefault("WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL", "1")
    mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    if mode != "online":
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # else it looks W&B's host up even offline
    import wandb  # reads the variables above

    if wandb.run is not None:
        wandb.finish()  # WandbLogger would take over a run that something else left open
    return WandbLogger(
        name=name,
        save_dir=folder,
        id=run_id,
        project=settings.project,
        entity=settings.entity,
        group=settings.group or group,
        job_type=job_type,
        tags=[*tags, *settings.tags],
        config=dict(config),
        mode=mode,
        settings=wandb.Settings(console="off", x_disable_machine_info=mode != "online"),
    )


def log_summary(logger: WandbLogger, summary: Mapping[str, float]) -> None:
    """Flat keys written once: define_metric's own best value starts afresh after a resume."""
    logger.experiment.summary.update(dict(summary))


class WandbClips(L.Callback):
    """Sends the clips that `SampleWriter` wrote at this step; stands behind it in the list of callbacks.

    Args:
        writer: whose clips.
        logger: where to.
    """

    def __init__(self, writer: SampleWriter, logger: WandbLogger) -> None:
        self.writer, self.logger = writer, logger

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """As paths to mp4 files, for which W&B needs no encoder."""
        step = trainer.global_step
        if not trainer.is_global_zero or not self.writer.every or step % self.writer.every:
            return
        import wandb

        clips = sorted(sample_folder(trainer, step).glob("*.mp4"))
        videos = [wandb.Video(str(path), format="mp4", caption=path.stem) for path in clips]
        self.logger.experiment.log({"samples": videos, "trainer/global_step": step - 1})


def close(preempted: bool = False, failed: bool = False) -> None:
    """Ends this process's W&B run, so that the next one starts its own."""
    if "wandb" not in sys.modules:
        return
    import wandb

    if wandb.run is None:
        return
    if preempted:
        wandb.run.mark_preempting()
    wandb.finish(exit_code=1 if preempted or failed else 0)
