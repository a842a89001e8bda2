"""How far apart the samples are that a method draws for one context: what best of K alone does not tell."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.bank import ClipMetric
from metrics.base import MetricResult
from metrics.curves import Curve
from metrics.frames import FrameMetric, over_clips

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class SampleMetric(ClipMetric):
    """Compares the samples of a clip (`protocol.samples`) with each other; one row a clip and frame.

    The samples of a batch come one after another, and only what `begin`, `take` and `end` keep of them is held: the
    memory does not grow with their number. A method that always shows the same has distance 0.
    """

    higher_is_better = None
    uses_real = False

    def __init__(self) -> None:
        super().__init__(fake=1)
        self._samples = 1
        self._open: list[int] = []  # numbers of the clips whose samples are coming
        self._seen = 0

    def reset(self) -> None:
        """Forgets all clips, and those whose samples were still coming."""
        super().reset()
        self._open, self._seen = [], 0

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Takes the number of samples, and that of the first scored frame."""
        assert protocol.frames is not None  # resolved
        self._samples, self._first = protocol.samples, protocol.frames - protocol.scored_frames

    def begin(self, clips: Tensor) -> None:
        """The first sample of new clips, uint8 B C T H W."""
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def take(self, clips: Tensor) -> None:
        """The next sample of the same clips."""
        raise NotImplementedError(f"{type(self).__name__}.take")

    def end(self) -> Tensor:
        """The distance of all samples, B T; forgets them."""
        raise NotImplementedError(f"{type(self).__name__}.end")

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None, sample: int = 0) -> None:
        """See `VideoMetric.update`.

        Args:
            sample: which of the clips' samples `fake` is, from 0; those of one batch come in order.

        Raises:
            BenchError: a sample out of turn, or of other clips.
        """
        if fake is None:
            return
        index = self._checked("fake", fake, batch)
        if self._samples < 2 or not len(fake):
            return
        if sample == 0:
            self._open, self._seen = index.tolist(), 1
            return self.begin(fake)
        if sample != self._seen or index.tolist() != self._open:
            raise BenchError(
                f"{self.name}: sample {sample} of clips {index.tolist()} came after {self._seen} samples of clips "
                f"{self._open}; the samples of a batch come in order, before the next batch"
            )
        self.take(fake)
        self._seen += 1
        if self._seen == self._samples:
            self.put("fake", index, self.end()[..., None])
        return None

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; the mean over frames, then clips."""
        fingerprint = f"{self.fingerprint}, {self._samples} samples"
        if self._samples < 2:
            note = "needs at least 2 samples of each clip; raise protocol.samples"
            return MetricResult(None, None, 0, 0, fingerprint, note)
        rows = self.rows("fake")
        if not rows.clips:
            return MetricResult(None, None, 0, 0, fingerprint, "no generated clips were seen")
        frames = rows.values.double().reshape(rows.clips, -1)  # N T
        bad = int((~frames.isfinite()).any(dim=1).sum())
        if bad:
            note = f"{bad} of {rows.clips} generated clips have frames without a finite number"
            return MetricResult(None, None, 0, rows.clips, fingerprint, note)
        value, error = over_clips(frames.mean(dim=1))
        of_frames, errors = over_clips(frames)
        numbers = tuple(range(self._first, self._first + frames.shape[1]))
        spread = None if errors is None else tuple(errors.tolist())
        curve = Curve(numbers, tuple(of_frames.tolist()), spread, rows.clips)
        return MetricResult(
            float(value), None if error is None else float(error), 0, rows.clips, fingerprint, curve=curve
        )


class SampleDiversity(SampleMetric):
    """Root of the mean squared difference of two samples of a clip, over all pairs, per frame, in levels of 0-255.

    The mean over pairs follows from sums alone, sum_{i<j} |x_i - x_j|^2 = K sum |x_i|^2 - |sum x_i|^2, here in whole
    numbers and so without rounding. Neither direction is better: noise is diverse. Read it beside best of K.
    """

    name = "sample_diversity"

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return "RMS 0-255 over all pairs of samples of a clip, of each frame, mean over frames then clips, uint8"

    def begin(self, clips: Tensor) -> None:
        """See `SampleMetric`."""
        self._sum = clips.int()  # B C T H W
        self._squares = _squared(self._sum)  # B T

    def take(self, clips: Tensor) -> None:
        """See `SampleMetric`."""
        levels = clips.int()
        self._sum = self._sum + levels
        self._squares = self._squares + _squared(levels)

    def end(self) -> Tensor:
        """See `SampleMetric`."""
        count, (_, channels, _, height, width) = self._samples, self._sum.shape
        total = count * self._squares - _squared(self._sum)  # over pairs
        pairs = count * (count - 1) // 2
        del self._sum, self._squares
        return (total.double() / (pairs * channels * height * width)).sqrt()


class SampleDistance(SampleMetric):
    """Mean distance of consecutive samples of a clip by a paired metric: SSIM (as 1 - SSIM), L1 or LPIPS.

    Samples are drawn alike, so that consecutive pairs have the same expected distance as all pairs, at K - 1 in place
    of K (K - 1) / 2 comparisons; SAVP's code takes consecutive samples too. Neither direction is better.

    Args:
        by: compares frames, such as `metrics.pixel.SSIM`.
    """

    def __init__(self, by: FrameMetric) -> None:
        super().__init__()
        self.name, self.by = f"sample_distance[{by.name}]", by
        if by.name not in ("ssim", "ms_ssim", "l1") and not by.name.startswith("lpips"):
            raise BenchError(
                f"sample_distance: {by.name} is no distance of frames that is 0 where they are equal; give SSIM, L1 or "
                "LPIPS"
            )

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"{'1 - ' * bool(self.by.higher_is_better)}({self.by.fingerprint}) of consecutive samples of a clip"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Prepares `by` as well, which may load a network."""
        super().prepare(data, protocol)
        self.by.prepare(data, protocol)

    def begin(self, clips: Tensor) -> None:
        """See `SampleMetric`."""
        self._last, self._total = clips, torch.zeros((), dtype=torch.float64, device=clips.device)

    def take(self, clips: Tensor) -> None:
        """See `SampleMetric`."""
        values = self.by.compare(clips, self._last)
        values = (values if values.ndim == 2 else values[..., 0]).double()  # B T
        self._total = self._total + (1 - values if self.by.higher_is_better else values)
        self._last = clips

    def end(self) -> Tensor:
        """See `SampleMetric`."""
        mean = self._total / (self._samples - 1)
        del self._last, self._total
        return mean


def _squared(levels: Tensor) -> Tensor:
    """Sum of squares of each frame, B C T H W -> B T int64."""
    return levels.long().square().sum(dim=(1, 3, 4))
