"""Any metric, on what a mask leaves of the frames."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.base import MetricResult, VideoMetric
from metrics.informed import check_shape

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


def masked(metric: str, clips: Tensor, mask: Tensor) -> Tensor:
    """Frames times mask, cut to whole levels as PG2's code cuts them.

    Args:
        clips: uint8 B C T H W.
        mask: B 1 T H W in [0, 1], in steps of 1/255.

    Raises:
        BenchError: a mask of another shape or range.
    """
    check_shape(metric, "mask", mask, (len(clips), 1, *clips.shape[2:]))
    if not mask.is_floating_point() or not mask.isfinite().all() or (mask < 0).any() or (mask > 1).any():
        raise BenchError(
            f"{metric}: batch['mask'] must be float in [0, 1], got {mask.dtype}; datamodules.batch.to_float widens it"
        )
    # From whole 255ths in float64: a float32 share would cut a level that the product reaches exactly.
    share = (mask.double() * 255).round() / 255
    return (clips.double() * share).to(torch.uint8)


class Masked(VideoMetric):
    """Another metric on masked frames, such as mask-IS (PG2, Ma et al. 2017): background is black on both sides.

    Both kinds of clips are multiplied by the mask of the real frame with the same number, and cast to uint8. The
    column is called `mask_<metric>`. Metrics that compare with training clips, which come without masks here, are not
    to be wrapped.

    Args:
        metric: what to measure.
    """

    needs = frozenset({"mask"})

    def __init__(self, metric: VideoMetric) -> None:
        super().__init__()
        self.metric = metric
        self.name = f"mask_{metric.name}"
        self.paired, self.uses_real = metric.paired, metric.uses_real
        self.needs = frozenset({"mask"}) | metric.needs

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """As the metric's."""
        return self.metric.higher_is_better

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"frames times mask cast to uint8; {self.metric.fingerprint}"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """As the metric's."""
        self.metric.prepare(data, protocol)

    def reset(self) -> None:
        """Forgets all clips."""
        super().reset()
        self.metric.reset()

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `VideoMetric.update`.

        Raises:
            BenchError: the batch has no mask of the clips.
        """
        kinds: dict[str, Any] = {"fake": fake, "real": real}
        for kind, clips in kinds.items():
            if clips is not None and len(clips):
                if batch is None or "mask" not in batch:
                    raise BenchError(f"{self.name} needs mask of its clips; the batch holds {', '.join(batch or [])}")
                kinds[kind] = masked(self.name, clips, batch["mask"])
        self.metric.update(kinds["fake"], kinds["real"], batch)

    def result(self) -> MetricResult:
        """The metric's, with the mask in its fingerprint."""
        return replace(self.metric.result(), fingerprint=self.fingerprint)

    def compute(self) -> Tensor:
        """The value alone."""
        return self.metric.compute()
