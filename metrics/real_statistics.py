"""Features of real clips on disk: extracted once for an extractor, a protocol and a content of the files."""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from datamodules.cache import cache_root
from datamodules.errors import BenchError
from datamodules.files import write_whole

if TYPE_CHECKING:
    from metrics.protocol import Protocol

log = logging.getLogger(__name__)

FORMAT = 1
KEY = "reelbench"
# Conditions that bear on generated clips alone.
OF_FAKES = ("n_fake", "samples")


class RealStatistics:
    """A file of real features, found by what they were made of and checked against it.

    Args:
        fingerprint: of the features.
        protocol: of the measurement; what concerns generated clips alone is left out.
    """

    def __init__(self, fingerprint: str, protocol: "Protocol") -> None:
        conditions = {k: v for k, v in protocol.conditions.items() if k not in OF_FAKES}
        self.about: dict[str, Any] = {"format": FORMAT, "features": fingerprint, **conditions}
        key = hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()[:20]
        self.path = folder() / f"{protocol.data}-{key}.safetensors"

    def read(self, clips: int) -> Tensor | None:
        """The rows of all `clips` real clips as a metric's state (1-D float32), None where they were not kept.

        Under DDP rank 0 looks and tells the others, so that no rank waits for another's real clips; only rank 0 has
        the rows, the others have none.

        Raises:
            BenchError: the file is of other features or conditions than its name says, or damaged.
        """
        if not _distributed():
            return self._read(clips)
        told: list[Any] = [None]
        if dist.get_rank() == 0:
            try:
                found = self._read(clips)
                told = [found is not None]
            except BenchError as error:
                told = [str(error)]
        dist.broadcast_object_list(told, 0)
        if isinstance(told[0], str):
            raise BenchError(told[0])
        if not told[0]:
            return None
        return found if dist.get_rank() == 0 else torch.empty(0)

    def write(self, table: Tensor, clips: int) -> None:
        """Keeps the rows of all real clips; rank 0 writes, whole or not at all. Fewer than all are not kept.

        A disk that refuses costs the next evaluation time, and this one no number: it is a warning.

        Args:
            table: N x (2 + d) float32: clip, part, features.
            clips: of which they are.
        """
        if clips != self.about["n_real"] or (_distributed() and dist.get_rank() != 0) or self.path.exists():
            return
        rows = table.float().contiguous()
        about = json.dumps({**self.about, "digest": _digest(rows)}, sort_keys=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, save({"rows": rows}, metadata={KEY: about}))
        except (OSError, BenchError) as error:
            log.warning("real features are not kept for the next evaluation: %s", error)

    def _read(self, clips: int) -> Tensor | None:
        if not self.path.is_file():
            return None
        remedy = "remove the file: the real clips are then described again"
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get(KEY, "null"))
                rows = file.get_tensor("rows")
        except (SafetensorError, OSError, ValueError) as error:
            raise BenchError(f"the real features in {self.path} are damaged ({error}); {remedy}") from error
        if not isinstance(about, dict) or about.pop("digest", None) != _digest(rows):
            raise BenchError(f"the real features in {self.path} are damaged: they are not what was written; {remedy}")
        wrong = [
            f"{key} is {about.get(key)!r}, expected {self.about.get(key)!r}"
            for key in sorted({*about, *self.about})
            if about.get(key) != self.about.get(key)
        ]
        if wrong:
            raise BenchError(f"the real features in {self.path} belong to something else: {'; '.join(wrong)}; {remedy}")
        found = len(rows[:, 0].unique())
        if found != clips:
            raise BenchError(f"the real features in {self.path} are of {found} clips, expected {clips}; {remedy}")
        return rows.flatten()


def folder() -> Path:
    """`REELBENCH_STATISTICS`, or `statistics` in the cache."""
    named = os.environ.get("REELBENCH_STATISTICS")
    return Path(named).expanduser() if named else cache_root() / "statistics"


def _digest(rows: Tensor) -> str:
    return hashlib.sha256(f"{tuple(rows.shape)}".encode() + rows.numpy().tobytes()).hexdigest()


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
