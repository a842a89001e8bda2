"""Paired metrics that score each frame: curves over time, and best of several samples, from one pass."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics import best_of
from metrics.bank import PairedMetric
from metrics.base import MetricResult, VideoMetric
from metrics.best_of import OVERS, Over
from metrics.curves import Curve
from metrics.protocol import MOST_SAMPLES

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

STEPS = 4096  # frames of a clip at most; a row's part is sample * STEPS + frame
assert STEPS * MOST_SAMPLES <= 2**24  # float32 holds parts exactly


def over_clips(values: Tensor) -> tuple[Tensor, Tensor | None]:
    """Mean over the first of N ... and its standard error (None where N is 1), in float64."""
    values = values.double()
    error = values.std(dim=0) / math.sqrt(len(values)) if len(values) > 1 else None
    return values.mean(dim=0), error


class FrameMetric(PairedMetric):
    """Compares frame t of a generated clip with frame t of its real one.

    Where a protocol draws several samples for a clip (`protocol.samples`), the numbers of all of them are kept, their
    frames are not. The column `ssim` then becomes `ssim_best`, `ssim_mean` and `ssim_worst`: for each clip the sample
    with the best or worst score over time counts, as SVG and SRVP do, chosen for each metric by itself.

    Args:
        width: numbers of a frame; the first is the metric's.
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__(width)
        self._samples, self._first = 1, 0

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """uint8 B C T H W twice -> B T, or B T width."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def score(self, frames: Tensor) -> Tensor:
        """The number of each clip, by which samples are chosen too: N ... T width -> N ... ."""
        return frames[..., 0].mean(dim=-1)

    def level(self, frames: Tensor) -> Tensor:
        """The number of each frame, for the curve: N ... T width -> N ... T."""
        return frames[..., 0]

    def average(self, scores: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores or levels N ... over clips, with their standard error (see `over_clips`)."""
        return over_clips(scores)

    @property
    def best_is_highest(self) -> bool:
        """Of scores; they may differ in direction from the value."""
        return self.higher_is_better is True

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Takes the number of samples, and that of the first scored frame."""
        assert protocol.frames is not None  # resolved
        self._samples, self._first = protocol.samples, protocol.frames - protocol.scored_frames
        if protocol.frames > STEPS:
            raise BenchError(f"{self.name}: protocol.frames is {protocol.frames}; at most {STEPS} can be compared")

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None, sample: int = 0) -> None:
        """See `PairedMetric.update`.

        Args:
            sample: which of the clip's samples `fake` is, from 0.
        """
        index, fake, real = self._pair(fake, real, batch)
        if not 0 <= sample < self._samples:
            raise BenchError(
                f"{self.name}: sample {sample} came where protocol.samples is {self._samples}; "
                "prepare(data, protocol) comes before update"
            )
        if len(fake):
            values = self.compare(fake, real)
            self.put("pairs", index, values.unsqueeze(2) if values.ndim == 2 else values, first=sample * STEPS)
            self._join()

    def _join(self) -> None:
        """Joins parts of the state as they come to like sizes, as a binary counter carries: few are alive at a time.

        Thousands of small parts, each kept between frames that are freed, would break up the process's memory: 1 GiB
        was lost to 200 samples of 32 clips.
        """
        parts = self.pairs_rows
        assert isinstance(parts, list)
        while len(parts) > 1 and parts[-1].numel() >= parts[-2].numel():
            last = parts.pop()
            parts[-1] = torch.cat([parts[-1], last])

    def result(self, over: Over = "best") -> MetricResult:
        """See `VideoMetric.result`.

        Args:
            over: which of several samples counts; of one sample all three are the same.
        """
        with self.sync_context():
            return self.measure(over)

    def measure(self, over: Over = "best") -> MetricResult:
        """See `result`; from this process's clips."""
        fingerprint = self.fingerprint
        if self._samples > 1:
            fingerprint += f", {best_of.described(over, self._samples)}"
        frames = self._frames()  # N K T width
        clips = len(frames)
        if not clips:
            return MetricResult(None, None, 0, 0, fingerprint, "no clips were compared")
        scores = self.score(frames)  # N K
        bad = int((~scores.isfinite()).sum())
        if bad:
            note = f"{bad} of {scores.numel()} generated clips have frames without a finite number"
            return MetricResult(None, None, clips, clips, fingerprint, note)
        chosen = (scores, over, self.best_is_highest)
        value, error = self.average(best_of.of_samples(scores, *chosen))
        of_frames, errors = self.average(best_of.of_samples(self.level(frames), *chosen))
        numbers = range(self._first, self._first + len(of_frames))
        errors_or_none = None if errors is None else tuple(errors.tolist())
        return MetricResult(
            float(value),
            None if error is None else float(error),
            clips,
            clips,
            fingerprint,
            self.note(frames if over == "mean" else best_of.of_samples(frames, *chosen)),
            Curve(tuple(numbers), tuple(of_frames.tolist()), errors_or_none, clips),
        )

    def _frames(self) -> Tensor:
        """N K T width float64, by clip, sample and frame.

        Raises:
            BenchError: a clip lacks samples.
        """
        rows = self.table("pairs")
        if not len(rows):
            return rows.new_empty(0, self._samples, 0, 1)
        clips, part = rows[:, 0].unique(), rows[:, 1].long()
        steps = int((part % STEPS).max()) + 1
        if len(rows) != len(clips) * self._samples * steps:
            raise BenchError(
                f"{self.name}: each of {len(clips)} clips must have {self._samples} samples of {steps} frames "
                f"(protocol.samples), but {len(rows)} frames were compared"
            )
        return rows[:, 2:].double().reshape(len(clips), self._samples, steps, -1)


def columns(metrics: Mapping[str, VideoMetric], samples: int) -> dict[str, VideoMetric]:
    """The metric behind each column of the results.

    Args:
        metrics: by their key in the config.
        samples: the protocol's.
    """
    found: dict[str, VideoMetric] = {}
    for column, metric in metrics.items():
        several = samples > 1 and isinstance(metric, FrameMetric)
        found |= {f"{column}_{over}": metric for over in OVERS} if several else {column: metric}
    return found
