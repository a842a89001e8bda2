"""Pictures of a few predictions: context, truth, best, random and worst sample, kept while a protocol is scored."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.jsonfile import write_json
from datamodules.media import write_png
from metrics.base import to_uint8
from metrics.protocol import Protocol
from metrics.suite import MetricSuite

CLIPS = 4
COLUMNS = 12  # frames shown of a clip
SIDE = 48  # pixels that a shown frame's shorter side has at least
GAP = 2
ABOUT = "strips.json"  # written last: a folder that has it is complete


@dataclass
class _Kept:
    """Clips of one batch: uint8 n C T H W each, and the scores of best and worst, n."""

    numbers: list[int]
    truth: Tensor
    first: Tensor
    best: Tensor
    worst: Tensor
    highest: Tensor
    lowest: Tensor


class Strips:
    """Keeps the real clip, the first sample and the best and worst so far of the first few clips of a process.

    Only predictions have a truth beside them, so nothing is kept where the protocol gives no context frames, or where
    no metric compares frames. The memory is that of four clips for each clip shown, however many samples are drawn.

    Args:
        suite: its first column that compares frames decides which sample is best.
        protocol: resolved.
        clips: how many to show.
    """

    def __init__(self, suite: MetricSuite, protocol: Protocol, clips: int = CLIPS) -> None:
        self.suite, self.protocol = suite, protocol
        self.clips = min(clips, protocol.n_real, protocol.n_fake)
        self._kept: list[_Kept] = []

    @torch.no_grad()
    def add(self, batch: VideoBatch, fake: Tensor, sample: int) -> None:
        """Looks at a sample of a batch, once the suite is prepared.

        Args:
            batch: with `video` float B C T H W in [-1, 1].
            fake: its generated clips, as `Method.sample` gives them.
            sample: which of their samples, from 0; those of a batch come in order.
        """
        if not self.protocol.context or self.suite.comparing() is None:
            return
        if sample == 0:
            wanted = self.clips - sum(len(kept.numbers) for kept in self._kept)
            numbers = batch["index"].tolist()[: min(len(fake), wanted)]
            if numbers:
                truth, drawn = (to_uint8(clips[: len(numbers)]) for clips in (batch["video"], fake))
                score = self._score(drawn, truth)
                self._kept.append(_Kept(numbers, truth, drawn, drawn, drawn, score, score))
            return
        kept = self._kept[-1]
        numbers = kept.numbers
        if numbers == batch["index"].tolist()[: len(numbers)]:
            drawn = to_uint8(fake[: len(numbers)])
            score = self._score(drawn, kept.truth)
            kept.best = _where(score > kept.highest, drawn, kept.best)
            kept.worst = _where(score < kept.lowest, drawn, kept.worst)
            kept.highest, kept.lowest = score.maximum(kept.highest), score.minimum(kept.lowest)

    def _score(self, fake: Tensor, truth: Tensor) -> Tensor:
        """Higher is better."""
        comparing = self.suite.comparing()
        assert comparing is not None
        metric = comparing[1]
        values = metric.compare(self.protocol.scored(fake), self.protocol.scored(truth))
        score = metric.score(values[..., None] if values.ndim == 2 else values)
        return score if metric.best_is_highest else -score

    def write(self, folder: Path) -> bool:
        """One picture a clip, 00000.png and so on, and what they show; False where there is nothing to show.

        Raises:
            BenchError: the disk refuses.
        """
        comparing = self.suite.comparing()
        if not self._kept or comparing is None:
            return False
        several = self.protocol.samples > 1
        shutil.rmtree(folder, ignore_errors=True)
        frames = shown_frames(self._kept[0].truth.shape[2], self.protocol.context)
        names = {"truth": "truth", "best": "best", "first": "random", "worst": "worst"}
        if not several:
            names = {"truth": "truth", "first": "sample"}
        clips = torch.cat([torch.stack([getattr(kept, n) for n in names], dim=1) for kept in self._kept])
        for place, rows in enumerate(clips.cpu().numpy()):  # rows C T H W
            write_png(folder / f"{place:05d}.png", strip(rows, frames, self.protocol.context))
        about = {"rows": list(names.values()), "frames": frames, "context": self.protocol.context}
        about |= {"clips": [n for kept in self._kept for n in kept.numbers], "samples": self.protocol.samples}
        write_json(folder / ABOUT, {**about, "chosen_by": comparing[0] if several else None})
        return True


def strips_folder(run: Path, protocol: Protocol) -> Path:
    """Where the strips of a run under a protocol lie."""
    return run / "strips" / f"{protocol.label}-{protocol.hash}"


def shown_frames(frames: int, context: int) -> list[int]:
    """The last context frames, a third of the columns at most, then frames to the last one, evenly spaced."""
    given = min(context, COLUMNS // 3)
    predicted = min(frames - context, COLUMNS - given)
    later = np.linspace(context, frames - 1, predicted).round().astype(int) if predicted else np.arange(0)
    return [*range(context - given, context), *later.tolist()]


def strip(clips: np.ndarray, frames: list[int], context: int) -> np.ndarray:
    """Rows of frames; the first row shows the context as well, the others leave its place white.

    Args:
        clips: uint8 rows C T H W, the truth first.
        frames: which to show, in order.

    Returns:
        uint8 H W C.
    """
    scale = -(-SIDE // min(clips.shape[3:]))
    shown = clips[:, :, frames].repeat(scale, axis=3).repeat(scale, axis=4)
    given = sum(frame < context for frame in frames)
    shown[1:, :, :given] = 255
    # A wider gap where the prediction begins.
    padded = np.pad(shown, ((0, 0), (0, 0), (0, 0), (0, GAP), (0, GAP)), constant_values=255)
    r, c, _, h, w = padded.shape
    parts = [padded[:, :, :given], padded[:, :, given:]]
    rows = [part.transpose(0, 3, 2, 4, 1).reshape(r * h, part.shape[2] * w, c) for part in parts]
    gap = np.full((r * h, 3 * GAP, c), 255, dtype=np.uint8)
    return np.concatenate([rows[0], gap, rows[1]], axis=1)[:-GAP, :-GAP]


def _where(better: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(better[:, None, None, None, None], new, old)
