import re
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.media import contact_sheet, write_lossless, write_mp4, write_png
from lightning_modules.callbacks.ema import sampling_weights
from lightning_modules.callbacks.preempt import preempt_of
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.control import Wanted
from lightning_modules.evaluation import to_device
from lightning_modules.pose_clips import SHEET as POSE_SHEET
from lightning_modules.pose_clips import pose_sheet
from lightning_modules.pose_image import PoseImageMethod
from metrics.base import to_uint8

SHEET = "contact.png"  # written last: a folder that has it is complete
OURS = re.compile(r"\d{5,}\.(mp4|mkv)|(contact|poses)\.png|real")
BATCH = 8
ROWS = 8


class SampleWriter(L.Callback):
    """Writes clips while a run trains, always of the same noise, so that sheets of different steps compare.

    Stands behind `Evaluate` in the list of callbacks. What a signal broke off is made up on resume.

    Args:
        every: steps between samples; 0 for none.
        n: clips a time.
        lossless: FFV1 in mkv beside H.264 in mp4.
        fps: frames a second.
    """

    def __init__(self, every: int = 0, n: int = 8, lossless: bool = False, fps: int = 8) -> None:
        for key, value, least in (("every", every, 0), ("n", n, 1), ("fps", fps, 1)):
            if value < least:
                raise BenchError(f"samples.{key} must be at least {least}, found {value}")
        self.every, self.n, self.lossless, self.fps = every, n, lossless, fps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Makes up what a signal broke off."""
        self._if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """At each `every`-th step."""
        self._if_due(trainer, pl_module)

    def _if_due(self, trainer: L.Trainer, method: L.LightningModule) -> None:
        step = trainer.global_step
        stopper = preempt_of(trainer)
        if not self.every or step == 0 or step % self.every or (stopper is not None and stopper.stop):
            return
        folder = sample_folder(trainer, step)
        if not trainer.is_global_zero or (folder / SHEET).exists():
            return
        assert isinstance(method, Method)
        with sampling_weights(trainer, method):
            write_samples(
                trainer,
                method,
                folder,
                n=self.n,
                lossless=self.lossless,
                fps=self.fps,
                real=folder.parent / "real",
            )


def sample_folder(trainer: L.Trainer, step: int) -> Path:
    """Where the clips of a training step lie."""
    return Path(trainer.default_root_dir) / "samples" / f"step-{step:08d}"


def write_samples(
    trainer: L.Trainer,
    method: Method,
    folder: Path,
    *,
    n: int,
    seed: int = 0,
    lossless: bool = False,
    fps: int = 8,
    real: Path | None = None,
    wanted: Wanted | None = None,
) -> None:
    """Writes `n` clips as 00000.mp4 and so on with a contact sheet, and the real clips they stand against.

    Clip i is the same for the same weights and seed, whatever `n`. Rank 0 writes, the others return at once; the
    caller sets weights and mode with `sampling_weights`.

    Args:
        folder: new, or of an earlier call, whose clips are replaced.
        seed: keys noise and real windows, clip by clip.
        lossless: mkv files beside the mp4 files.
        real: folder of the real clips, `folder`/real by default; left as it is where it is complete.
        wanted: attributes that are set, where the method has any.

    Raises:
        BenchError: `folder` holds other files, `n` is below 1, or the disk refuses.
    """
    if not trainer.is_global_zero:
        return
    if n < 1:
        raise BenchError(f"n must be at least 1 clip, found {n}")
    data: ClipData = trainer.datamodule  # type: ignore[attr-defined]
    writers = [_Clips(folder, lossless, fps)]
    if real is None or not ((real / SHEET).exists() and (real / f"{n - 1:05d}.mp4").exists()):
        writers.append(_Clips(real or folder / "real", lossless, fps))
    method.prepare(data)
    for start in range(0, n, BATCH):
        asked = range(start, min(start + BATCH, n))
        batch = data.eval_batch("val", asked, method.length_shown(data), data.stride, seed)
        shown = to_float(to_device(batch, method.device))
        noise = ClipNoise(seed, batch["index"])
        clips = to_uint8(wanted.sample(method, shown, noise) if wanted else method.sample(shown, noise))
        for writer, drawn in zip(writers, (clips, batch["video"]), strict=False):
            writer.add(drawn)
        if start == 0 and isinstance(method, PoseImageMethod):
            write_png(folder / POSE_SHEET, pose_sheet(batch, clips.cpu(), data.limbs))
    for writer in writers:
        writer.finish()


class _Clips:
    """One folder of numbered clips; the contact sheet comes last."""

    def __init__(self, folder: Path, lossless: bool, fps: int) -> None:
        self.folder, self.lossless, self.fps = folder, lossless, fps
        self.count = 0
        self.first: list[np.ndarray] = []
        old = list(folder.iterdir()) if folder.is_dir() else []
        foreign = sorted(p.name for p in old if not OURS.fullmatch(p.name) and not p.name.startswith("."))
        if foreign:
            raise BenchError(f"{folder} holds other files, such as {foreign[0]}: give a new folder for the clips")
        for path in old:
            if path.is_file() and OURS.fullmatch(path.name):
                path.unlink()

    def add(self, clips: Tensor) -> None:
        """uint8 B C T H W."""
        drawn = clips.cpu().numpy().transpose(0, 2, 3, 4, 1)  # B T H W C
        for clip in drawn:
            path = self.folder / f"{self.count:05d}.mp4"
            write_mp4(path, clip, self.fps)
            if self.lossless:
                write_lossless(path.with_suffix(".mkv"), clip, self.fps)
            self.count += 1
        self.first += list(drawn[: ROWS - len(self.first)])

    def finish(self) -> None:
        """The first clips in rows."""
        write_png(self.folder / SHEET, contact_sheet(np.stack(self.first), rows=ROWS))
