"""What all metrics over feature distributions share: extraction, lengths, and real features kept from earlier runs."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.bank import DescribingMetric, Rows
from metrics.base import MetricResult
from metrics.features.base import Extractor
from metrics.real_statistics import RealStatistics

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class FeatureMetric(DescribingMetric):
    """Compares features of generated clips with those of real ones.

    Metrics of one suite whose extractors have the same fingerprint share one network and one pass of it. Where the
    extractor says so (`keep_real`), the real clips' features are kept on disk after the first complete evaluation and
    read in the later ones.

    Args:
        extractor: gives the features; its level decides between clips and frames.
        frames_per_clip: frame level only: so many frames, evenly spaced, of each clip; None takes all.
    """

    def __init__(self, name: str, extractor: Extractor, frames_per_clip: int | None = None) -> None:
        super().__init__(fake=extractor.num_features, real=extractor.num_features)
        self.name = name
        if frames_per_clip is not None and (extractor.level == "clip" or frames_per_clip < 1):
            raise BenchError(
                f"{name}: frames_per_clip = {frames_per_clip} must be at least 1 and goes with a frame-level "
                "extractor; the length of clips is set by the protocol"
            )
        self.extractor, self.frames_per_clip = extractor, frames_per_clip
        self._statistics: RealStatistics | None = None
        self._known: Tensor | None = None  # the state of real rows that were read from disk

    @property
    def features_fingerprint(self) -> str:
        """What moves the features."""
        frames = "" if self.extractor.level == "clip" else f"frames per clip {self.frames_per_clip or 'all'}; "
        return f"{frames}{self.extractor.fingerprint}"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses clips that are too short before anything is sampled."""
        self._check_length(protocol.scored_frames)

    def recall(self, protocol: "Protocol") -> None:
        """Reads real features that were kept.

        Raises:
            BenchError: they are damaged, or not what their file's name says.
        """
        self._statistics = self._known = None
        if self.extractor.keep_real:
            self._statistics = RealStatistics(self.features_fingerprint, protocol)
            kept = self._statistics.read(protocol.n_real)
            if kept is not None:
                self.remember(kept)

    def remember(self, state: Tensor) -> None:
        """Takes the rows of all real clips as known: real clips are not described any more.

        Args:
            state: 1-D float32, what `real_rows` would hold.
        """
        self._known = state.to(self.device)
        self.real_rows: list[Tensor] = [self._known]

    @property
    def knows_real(self) -> bool:
        """Whether the real clips' features were read from disk."""
        return self._known is not None

    def reset(self) -> None:
        """Forgets all clips; real features that were read from disk stay."""
        super().reset()
        if self._known is not None:
            self.real_rows = [self._known]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Takes clips in and gives the value over all so far; a distance of one batch would mean nothing."""
        self.update(*args, **kwargs)
        return self.compute()

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `VideoMetric.update`; real clips whose features are known are left alone."""
        super().update(fake, None if self.knows_real else real, batch)

    def describe(self, clips: Tensor) -> Tensor:
        """B d, or B frames d."""
        self._check_length(clips.shape[2])
        return self.extractor(clips, self.frames_per_clip)

    def _check_length(self, frames: int) -> None:
        need = max(self.extractor.min_frames, self.frames_per_clip or 1)
        if frames < need:
            raise BenchError(
                f"{self.name} needs clips of at least {need} frames, found {frames}; raise protocol.frames"
            )

    def between(self, fake: Rows, real: Rows) -> tuple[float, float | None, str]:
        """Value, standard error and note from at least `fewest` clips of each kind; all values are finite."""
        raise NotImplementedError(f"{type(self).__name__}.between")

    @property
    def fewest(self) -> int:
        """Clips of each kind below which there is no value."""
        return 2

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; no value from too few clips of a kind, or features that are not finite."""
        fake, real = self.rows("fake"), self.rows("real")
        value = error = None
        if min(fake.clips, real.clips) < self.fewest:
            note = f"needs at least {self.fewest} clips of each kind, got {fake.clips} generated and {real.clips} real"
        elif not (fake.values.isfinite().all() and real.values.isfinite().all()):
            note = f"{self.extractor.name} features hold NaN or infinity"
        else:
            value, error, note = self.between(fake, real)
            if self._statistics is not None and not self.knows_real:
                self._statistics.write(self.table("real"), real.clips)
        return MetricResult(value, error, real.clips, fake.clips, self.fingerprint, note)


def few_for(dims: int, level: str, fake: Rows, real: Rows) -> str:
    """A note where there are fewer features than dimensions: then the bias is larger than most differences."""
    count = min(len(fake.values), len(real.values))
    return f"fewer than {dims} dims: {count} {level}s" if count < dims else ""


def jackknife(fake: Rows, real: Rows, groups: int, value_without: Any) -> float | None:
    """Standard error by leaving out one group of clips at a time; the i-th clip is in group i modulo `groups`.

    A group leaves both sides at once: the sides are independent, so their variances add. All frames of a clip are in
    one group. None where a side would be left with fewer than two clips.

    Args:
        value_without: called with the number of groups, and of the one left out.
    """
    groups = min(groups, fake.clips, real.clips)
    if groups < 3:
        return None
    left_out = torch.tensor([value_without(groups, group) for group in range(groups)], dtype=torch.float64)
    return float(((groups - 1) * left_out.var(correction=0)).sqrt())
