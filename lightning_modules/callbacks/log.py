import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only


class MetricsLog(Logger):
    """`step,name,value` rows, append-only, so that a new name needs no new header.

    Lightning's own CSVLogger deletes the file when a run resumes in its folder. Rows behind the restored checkpoint
    are cut by `rewind`, so no step stands there twice.
    """

    HEADER = "step,name,value\n"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = Path(path)

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One row each."""
        rows = [(step, key, repr(float(value))) for key, value in metrics.items() if key != "epoch"]
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            if new:
                file.write(self.HEADER)
            csv.writer(file, lineterminator="\n").writerows(rows)

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Keeps the rows of steps before `step`; drops a row that a kill cut short."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [x for x in lines[1:] if x.endswith("\n") and x.count(",") >= 2 and int(x.split(",", 1)[0]) < step]
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        beside.write_text("".join([self.HEADER, *kept]), encoding="utf-8")
        beside.replace(self.path)
