import logging
import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.base import MetricResult, VideoMetric, to_uint8
from metrics.batch_part import FROM_METHOD, part
from metrics.best_of import OVERS, Over
from metrics.features.base import Extractor
from metrics.frames import FrameMetric, columns
from metrics.protocol import Protocol
from metrics.sample_diversity import SampleMetric
from metrics.weights import MissingWeights

if TYPE_CHECKING:
    from datamodules.base import ClipData

log = logging.getLogger(__name__)

OF_SAMPLES = (FrameMetric, SampleMetric)  # see every sample of a clip; all others see the first alone


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
        self._extractors = _shared(self.metrics.values())
        self._protocol: Protocol | None = None
        self._missing: dict[str, str] = {}  # notes of the columns that cannot be measured here

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
        """Once before the first update, on every rank; collective.

        A metric whose weights are missing is left out, with a note as its result; the others are measured.

        A metric that needs what the data do not give has no value, and its note says what is missing: a protocol may
        ask for the error inside a mask, and its other columns still hold where there is no mask.

        Args:
            protocol: resolved with `data`.

        Raises:
            BenchError: a metric cannot be measured under this protocol.
        """
        self._protocol = protocol
        if protocol.samples > 1 and not any(isinstance(m, OF_SAMPLES) for m in self.metrics.values()):
            raise BenchError(
                f"protocol.samples is {protocol.samples}, but none of evaluate.metrics ({', '.join(self.metrics)}) "
                "compares samples, as ssim and psnr do; add one or set it to 1"
            )
        self._missing = self._find_lacking(data, protocol)
        for column, metric in self.metrics.items():
            if column in self._missing:
                continue
            try:
                for module in metric.modules():
                    if isinstance(module, Extractor):
                        module.prepare()
                metric.prepare(data, protocol)
            except MissingWeights as error:
                self._missing[column] = error.note
        self._missing = _of_all_ranks(self._missing)
        for column, metric in self.metrics.items():
            if column not in self._missing:  # on any rank: recalling is collective
                metric.recall(protocol)
        for column, why in self._missing.items():
            log.warning("%s will have no value: %s", column, why)

    def _find_lacking(self, data: "ClipData", protocol: Protocol) -> dict[str, str]:
        if not any(metric.needs - FROM_METHOD for metric in self.metrics.values()):
            return {}
        assert protocol.frames is not None and protocol.stride is not None  # resolved
        # What a batch holds, not what `gives` promises of arguments that are gone by now.
        first = data.eval_batch(protocol.split, [0], protocol.frames, protocol.stride, protocol.seed)
        given = set(first) - {"index", "name"}
        lacking = {column: metric.needs - given - FROM_METHOD for column, metric in self.metrics.items()}
        return {
            column: f"needs {', '.join(sorted(keys))}; {data.name} gives {', '.join(sorted(given))}"
            for column, keys in lacking.items()
            if keys
        }

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch, sample: int = 0) -> None:
        """Feeds all metrics; a rank without clips may call it with none.

        Args:
            sample: which of the `protocol.samples` of each clip `fake` is; all but the first feed `OF_SAMPLES` alone.
            fake, real: B C T H W, float in [-1, 1] or uint8: the clips of `batch["index"]` whose number is below
                `protocol.n_fake` and `n_real`, in that order, or the clips of all of `batch["index"]`.
            batch: of all its clips, whatever the metrics need beside `index`; as the data give it or widened.

        Raises:
            BenchError: clips that are not what the protocol says, or not the batch's.
        """
        index = batch["index"]
        of_fake, of_real = index < self.protocol.n_fake, index < self.protocol.n_real
        fake, real = self._scored("fake", fake, of_fake), self._scored("real", real, of_real)
        with ExitStack() as stack:
            for extractor in self._extractors:
                stack.enter_context(extractor.remembering())
            self._feed(fake, real, batch, of_fake, of_real, sample)

    def _feed(
        self,
        fake: Tensor | None,
        real: Tensor | None,
        batch: VideoBatch,
        of_fake: Tensor,
        of_real: Tensor,
        sample: int,
    ) -> None:
        for column, metric in self.metrics.items():
            if column in self._missing or (sample and not isinstance(metric, OF_SAMPLES)):
                continue

            def known(chosen: Tensor, needs: frozenset[str] = metric.needs) -> VideoBatch:
                return part(batch, needs, chosen, self.protocol.scored_frames)

            if metric.paired:
                if fake is not None and real is not None:
                    both = of_fake & of_real
                    pairs = both[of_fake].to(fake.device), both[of_real].to(real.device)
                    given = fake[pairs[0]], real[pairs[1]], known(both)
                    if isinstance(metric, FrameMetric):
                        metric.update(*given, sample)
                    else:
                        metric.update(*given)
            else:
                if isinstance(metric, SampleMetric):
                    metric.update(fake, None, known(of_fake), sample)
                else:
                    metric.update(fake, None, known(of_fake))
                if metric.uses_real:
                    metric.update(None, real, known(of_real))

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

    def comparing(self) -> tuple[str, FrameMetric] | None:
        """The first column measured here that compares frames, with its metric."""
        for column, metric in self.metrics.items():
            if isinstance(metric, FrameMetric) and column not in self._missing:
                return column, metric
        return None

    def results(self) -> dict[str, MetricResult]:
        """A result for each column, in the order of the config; collective under DDP.

        A metric that cannot stand for a number gives None and says why in its note; the others keep theirs.
        """
        found: dict[str, MetricResult] = {}
        for column, metric in self.metrics.items():
            if column in self._missing:
                absent = MetricResult(None, None, 0, 0, metric.fingerprint, self._missing[column])
                found |= dict.fromkeys(columns({column: metric}, self.protocol.samples), absent)
            elif self.protocol.samples > 1 and isinstance(metric, FrameMetric):
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


def _shared(metrics: Iterable[VideoMetric]) -> list[Extractor]:
    """Lets metrics whose extractors have one fingerprint use one of them, and returns those that are used."""
    used: dict[str, Extractor] = {}
    for metric in metrics:
        for name, module in metric.named_children():
            if isinstance(module, Extractor):
                setattr(metric, name, used.setdefault(f"{type(module).__qualname__} {module.fingerprint}", module))
    return list(used.values())


def _of_all_ranks(missing: dict[str, str]) -> dict[str, str]:
    """What any rank misses: the others must not wait for it in a metric's collective calls."""
    if not (dist.is_available() and dist.is_initialized()):
        return missing
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, missing)
    return {column: note for each in gathered for column, note in each.items()}


def _withdrawn(result: MetricResult, why: str) -> MetricResult:
    note = f"{why}; {result.note}" if result.note else why
    return replace(result, value=None, standard_error=None, note=note, curve=None)
