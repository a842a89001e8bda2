"""Base of metrics that read more of a batch than clip numbers, and that tell "not applicable" from a number."""

from typing import TYPE_CHECKING

from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.bank import ClipMetric
from metrics.base import MetricResult
from metrics.batch_part import FROM_METHOD

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class InformedMetric(ClipMetric):
    """One row of numbers for each generated clip; the note holds the same statistic of real clips.

    A metric that is not paired describes generated and real clips alike, each with its part of the batch. The value of
    real clips tells what a perfect method would get from this extractor, detector or flow.

    Args:
        width: numbers in a row.
        paired: rows come from a generated clip and its real one; then there is no value of real clips.
    """

    min_frames: int = 1  # of a clip, for the metric to have a meaning

    def __init__(self, width: int, paired: bool = False) -> None:
        super().__init__(**dict.fromkeys(("fake",) if paired else ("fake", "real"), width))
        self.paired = paired

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses clips that are too short before anything is sampled."""
        self._check_length(protocol.scored_frames)

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """uint8 B C T H W and their part of the batch -> B width."""
        raise NotImplementedError(f"{type(self).__name__}.describe")

    def compare(self, fake: Tensor, real: Tensor, batch: VideoBatch) -> Tensor:
        """uint8 B C T H W twice and their part of the batch -> B width; for paired metrics."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def estimate(self, rows: Tensor) -> tuple[float | None, float | None]:
        """Value and standard error from the rows of all clips (N width, float64, N > 0); None for no value."""
        raise NotImplementedError(f"{type(self).__name__}.estimate")

    def note(self, rows: Tensor) -> str:
        """A caveat, from the rows of all generated clips (N width): what could not enter is counted here."""
        return ""

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`."""
        fake = self.rows("fake")
        if not fake.clips:
            return MetricResult(None, None, 0, 0, self.fingerprint, "no generated clips were seen")
        value, error = self.estimate(fake.values.double())
        notes = [self.note(fake.values.double())]
        n_real = fake.clips
        if not self.paired:
            real = self.rows("real")
            n_real = real.clips
            notes.append(_of_real(*self.estimate(real.values.double())) if n_real else "")
        return MetricResult(value, error, n_real, fake.clips, self.fingerprint, "; ".join(filter(None, notes)))

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `VideoMetric.update`.

        Raises:
            BenchError: clips that are no clips, or too short; the batch lacks what the metric needs; a paired metric
                got one kind, or two shapes.
        """
        if not self.paired:
            for kind, clips in (("fake", fake), ("real", real)):
                if clips is not None:
                    index = self._checked(kind, clips, batch)
                    if len(clips):
                        self.put(kind, index, self.describe(clips, self._informed(clips, batch)).to(clips.device))
            return
        if fake is None or real is None:
            missing = "fake" if fake is None else "real"
            raise BenchError(f"{self.name} compares each generated clip with its real one, but `{missing}` is None")
        if fake.shape != real.shape:
            raise BenchError(f"{self.name}: fake {tuple(fake.shape)} and real {tuple(real.shape)} must be one shape")
        index = self._checked("fake", fake, batch)
        self._checked("real", real, batch)
        if len(fake):
            self.put("fake", index, self.compare(fake, real, self._informed(fake, batch)).to(fake.device))

    def _informed(self, clips: Tensor, batch: VideoBatch | None) -> VideoBatch:
        self._check_length(clips.shape[2])
        assert batch is not None  # `_checked` has counted its numbers
        lacking = self.needs - FROM_METHOD - set(batch)
        if lacking:
            raise BenchError(
                f"{self.name} needs {', '.join(sorted(lacking))} of its clips; the batch holds "
                f"{', '.join(sorted(batch))}"
            )
        return batch

    def _check_length(self, frames: int) -> None:
        if frames < self.min_frames:
            raise BenchError(
                f"{self.name} needs clips of at least {self.min_frames} frames, found {frames}; raise protocol.frames"
            )


def _of_real(value: float | None, error: float | None) -> str:
    if value is None:
        return "real clips: no value"
    return f"real clips: {value:.4g}" + ("" if error is None else f" +- {error:.2g}")


def check_shape(metric: str, key: str, value: Tensor, expected: tuple[int, ...]) -> None:
    """Raises `BenchError` unless what the batch holds under `key` has the shape that goes with the clips."""
    if tuple(value.shape) != expected:
        raise BenchError(f"{metric}: batch[{key!r}] is {tuple(value.shape)}, with these clips it must be {expected}")
