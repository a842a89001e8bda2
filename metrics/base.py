from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.curves import Curve

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


@dataclass(frozen=True)
class MetricResult:
    """A number with what is needed to stand for it.

    Attributes:
        value: None where the metric cannot stand for a number; `note` then says why.
        standard_error: of `value`, where an estimator is known.
        n_real, n_fake: clips that entered.
        fingerprint: every setting that moves the number, as text; part of the number's hash.
        note: a caveat shown beside the number, such as "fewer than 400 dims".
        curve: of metrics that score each frame, the number over time.
    """

    value: float | None
    standard_error: float | None
    n_real: int
    n_fake: int
    fingerprint: str
    note: str = ""
    curve: Curve | None = None

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        named = asdict(self)
        del named["curve"]
        return named if self.curve is None else {**named, "curve": self.curve.as_dict()}


class VideoMetric(Metric):
    """A metric over clips, fed by one pass of samples.

    Clips are uint8 B C T H W (`to_uint8`): scoring saved clips equals scoring in memory. States are sums or float32
    "cat" lists, an update with no clips is legal, and clips seen twice are told by `batch["index"]` and dropped.

    Attributes:
        paired: compares generated clip i with real clip i.
        needs: keys of `VideoBatch` that it reads beside `index`. They describe the real clips; generated clip i was
            asked for under the same number. `requested` comes from the method, all others from the data.
        name: column heading, such as "ssim".
    """

    higher_is_better: bool | None = None
    is_differentiable: bool | None = False
    full_state_update: bool | None = False
    paired: bool = False
    uses_real: bool = True
    needs: frozenset[str] = frozenset()
    name: str

    @property
    def fingerprint(self) -> str:
        """Every setting that moves the number, as text."""
        raise NotImplementedError

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Called once before the first update, on every rank; for metrics that read the training set."""

    def recall(self, protocol: "Protocol") -> None:
        """Called after `prepare` on every rank, in the same order: where a metric keeps results on disk."""

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """Takes clips in; with none it does nothing, since a rank may have none.

        Args:
            fake, real: uint8 B C T H W. A paired metric is given both, other metrics one kind at a time and None for
                the other: their counts may differ.
            batch: its `index` numbers the clips given; what the metric `needs` is there, widened (`to_float`).
        """
        raise NotImplementedError

    def result(self) -> MetricResult:
        """The value with its standard error and counts; collective under DDP, like `compute`."""
        raise NotImplementedError


def to_uint8(video: Tensor) -> Tensor:
    """Float clips in [-1, 1] to uint8 by rounding, checked.

    Raises:
        BenchError: not floating, not finite, or outside [-1, 1] by more than 1e-3.
    """
    if not video.is_floating_point():
        raise BenchError(f"to_uint8 takes float clips in [-1, 1], got {video.dtype}")
    video = video.float()
    if video.numel():
        low, high = video.aminmax()
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise BenchError("sampled clips hold NaN or infinity; nothing is scored")
        if low < -1.001 or high > 1.001:
            raise BenchError(f"sampled clips must lie in [-1, 1], found [{low:.4g}, {high:.4g}]")
    return video.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def check_clips(metric: str, argument: str, clips: Tensor) -> None:
    """Raises `BenchError` unless `clips` is uint8 B C T H W with 1 or 3 channels."""
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[1] not in (1, 3):
        raise BenchError(
            f"{metric}: `{argument}` must be uint8 B C T H W with 1 or 3 channels, got {clips.dtype} "
            f"{tuple(clips.shape)}; float clips in [-1, 1] go through metrics.base.to_uint8"
        )
