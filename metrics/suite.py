import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.base import MetricResult, VideoMetric, to_uint8
from metrics.best_of import OVERS, Over
from metrics.frames import FrameMetric
from metrics.protocol import Protocol

if TYPE_CHECKING:
    from datamodules.base import ClipData


class MetricSuite:
    """Several metrics fed by one pass of samples under one protocol.

    Args:
        metrics: by column. A column is the metric's own name, with a suffix where it is measured in two ways
            (`psnr`, `psnr_60`), so that no config can call a number what it is not.
    """

    def __init__(self, metrics: Mapping[str, VideoMetric]) -> None:
        for column, metric in metrics.items():
            if not column.startswith(metric.name):
                raise BenchError(
                    f"evaluate.metrics.{column}: this {type(metric).__name__} measures {metric.name}; "
                    f"its key must be {metric.name}, or begin with it"
                )
        self.metrics = dict(metrics)
        self._protocol: Protocol | None = None

    @property
    def protocol(self) -> Protocol:
        """The protocol of the last `prepare`."""
        if self._protocol is None:
            raise BenchError("MetricSuite: prepare(data, protocol) comes before update and results")
        return self._protocol

    def to(self, device: torch.device | str) -> Self:
        """Moves states and extractors."""
        for metric in self.metrics.values():
            metric.to(device)
        return self

    def reset(self) -> None:
        """Forgets all clips; what `prepare` read stays."""
        for metric in self.metrics.values():
            metric.reset()

    def prepare(self, data: "ClipData", protocol: Protocol) -> None:
        """Once before the first update, on every rank.

        Args:
            protocol: resolved with `data`.

        Raises:
            BenchError: a metric cannot be measured under this protocol.
        """
        self._protocol = protocol
        if protocol.samples > 1 and not any(isinstance(m, FrameMetric) for m in self.metrics.values()):
            raise BenchError(
                f"protocol.samples is {protocol.samples}, but none of evaluate.metrics ({', '.join(self.metrics)}) "
                "compares samples, as ssim and psnr do; add one or set it to 1"
            )
        for metric in self.metrics.values():
            metric.prepare(data, protocol)

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch, sample: int = 0) -> None:
        """Feeds all metrics; a rank without clips may call it with none.

        Args:
            sample: which of the `protocol.samples` of each clip `fake` is; all but the first feed paired metrics alone.
            fake, real: B C T H W, float in [-1, 1] or uint8: the clips of `batch["index"]` whose number is below
                `protocol.n_fake` and `n_real`, in that order, or the clips of all of `batch["index"]`.

        Raises:
            BenchError: clips that are not what the protocol says, or not the batch's.
        """
        index = batch["index"]
        of_fake, of_real = index < self.protocol.n_fake, index < self.protocol.n_real
        fake, real = self._scored("fake", fake, of_fake), self._scored("real", real, of_real)
        for metric in self.metrics.values():
            if sample and not isinstance(metric, FrameMetric):
                continue
            if metric.paired:
                if fake is not None and real is not None:
                    both = of_fake & of_real
                    pairs = both[of_fake].to(fake.device), both[of_real].to(real.device)
                    given = fake[pairs[0]], real[pairs[1]], VideoBatch(index=index[both])
                    if isinstance(metric, FrameMetric):
                        metric.update(*given, sample)
                    else:
                        metric.update(*given)
            else:
                metric.update(fake, None, {"index": index[of_fake]})
                if metric.uses_real:
                    metric.update(None, real, {"index": index[of_real]})

    def _scored(self, kind: str, clips: Tensor | None, chosen: Tensor) -> Tensor | None:
        """The chosen clips as uint8, without context frames where the protocol leaves them out."""
        if clips is None:
            return None
        protocol, wanted = self.protocol, int(chosen.sum())
        if len(clips) not in (len(chosen), wanted):
            raise BenchError(
                f"{len(clips)} {kind} clips came with a batch of {len(chosen)} numbers, {wanted} of them below "
                f"protocol.n_{kind}"
            )
        expected = (protocol.channels, protocol.frames, protocol.height, protocol.width)
        if clips.shape[1:] != expected:
            whose = "the method generates" if kind == "fake" else "the data give"
            raise BenchError(
                f"{whose} clips of {tuple(clips.shape[1:])}, the protocol scores {expected} (C T H W); make the "
                "channels, frames and size of model.init_args, data.init_args and protocol.frames agree"
            )
        if len(clips) != wanted:
            clips = clips[chosen.to(clips.device)]
        return protocol.scored(clips if clips.dtype == torch.uint8 else to_uint8(clips))

    def results(self) -> dict[str, MetricResult]:
        """A result for each column, in the order of the config; collective under DDP.

        A metric that cannot stand for a number gives None and says why in its note; the others keep theirs.
        """
        found: dict[str, MetricResult] = {}
        for column, metric in self.metrics.items():
            if self.protocol.samples > 1 and isinstance(metric, FrameMetric):
                found |= {f"{column}_{over}": self._result(metric, over) for over in OVERS}
            else:
                found[column] = self._result(metric)
        return found

    def _result(self, metric: VideoMetric, over: Over = "best") -> MetricResult:
        try:
            result = metric.result(over) if isinstance(metric, FrameMetric) else metric.result()
        except BenchError as error:
            return MetricResult(None, None, 0, 0, metric.fingerprint, str(error))
        if result.value is None:
            return result
        n_real, n_fake = self.protocol.n_real, self.protocol.n_fake
        if metric.paired:
            n_real = n_fake = min(n_real, n_fake)
        if not metric.uses_real:
            n_real = result.n_real
        if (result.n_real, result.n_fake) != (n_real, n_fake):
            found = f"{result.n_fake} generated and {result.n_real} real clips"
            return _withdrawn(result, f"the protocol asks for {n_fake} and {n_real}, scored were {found}")
        if not math.isfinite(result.value):
            return _withdrawn(result, f"the value is {result.value}")
        return result


def _withdrawn(result: MetricResult, why: str) -> MetricResult:
    note = f"{why}; {result.note}" if result.note else why
    return replace(result, value=None, standard_error=None, note=note, curve=None)
