"""Between clips and metrics: the rows that a metric keeps of clips, and a metric fed with rows that were kept."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn, cast

import torch
from torch import Tensor

from datamodules.errors import BenchError
from experiments.score.names import build
from experiments.score.policy import FolderProtocol
from metrics.bank import ClipMetric, DescribingMetric
from metrics.base import MetricResult, VideoMetric
from metrics.features.base import Extractor
from metrics.weights import MissingWeights


class Column:
    """One metric that was asked for, or why it has no value.

    Attributes:
        name: as results call it.
        metric: None where it could not even be built.
        why: no value is possible, and this is the reason; empty otherwise.
    """

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name, self.why = name, ""
        self.metric: ClipMetric | None = None
        metric: VideoMetric = build(name, spec)
        if not name.startswith(metric.name):
            raise BenchError(
                f"evaluate.metrics.{name}: this {type(metric).__name__} measures {metric.name}; its key must be "
                f"{metric.name}, or begin with it"
            )
        if not isinstance(metric, ClipMetric) or metric.needs:
            lacks = ", ".join(sorted(metric.needs)) or "more than clips"
            self.why = f"needs {lacks}; videos give nothing but frames"
            return
        self.metric = metric

    @property
    def paired(self) -> bool:
        """Whether it compares generated clip i with real clip i."""
        return self.metric is not None and self.metric.paired

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`; empty where nothing was built."""
        return "" if self.metric is None else self.metric.fingerprint

    @property
    def extractor(self) -> str | None:
        """Fingerprint of the network whose features it compares."""
        found = getattr(self.metric, "extractor", None)
        return found.fingerprint if isinstance(found, Extractor) else None

    def prepare(self, protocol: FolderProtocol, device: torch.device) -> None:
        """Loads weights and checks the clips' size and length; what fails becomes `why`."""
        if self.metric is None or self.why:
            return
        try:
            for module in self.metric.modules():
                if isinstance(module, Extractor):
                    module.prepare()
            self.metric.prepare(cast(Any, _NoData(self.name)), protocol)
        except MissingWeights as error:
            self.why = error.note
        except BenchError as error:
            self.why = str(error)
        self.metric.to(device)

    @cached_property
    def made(self) -> str:
        """What decides a clip's rows. Metrics that describe clips by one function of one extractor share them."""
        metric = self.metric
        assert metric is not None
        if isinstance(metric, DescribingMetric) and self.extractor is not None:
            function, frames = type(metric).describe, getattr(metric, "frames_per_clip", None)
            return f"{function.__module__}.{function.__qualname__}, frames {frames}, {self.extractor}"
        return f"{type(metric).__module__}.{type(metric).__qualname__}, {metric.fingerprint}"

    def rows(self, clips: Tensor, real: Tensor | None = None) -> Tensor:
        """What the metric keeps of clips, B parts width: the very numbers that it would keep in training.

        Args:
            clips: uint8 B C T H W; for a paired metric the generated ones.
            real: for a paired metric.
        """
        metric = self.metric
        assert metric is not None
        metric.reset()
        metric.update(clips, real, {"index": torch.arange(len(clips))})
        table = metric.table(_kinds(metric)[0])  # B parts x (clip, part, width)
        metric.reset()
        return table[:, 2:].unflatten(0, (len(clips), -1))

    def take(self, rows: Tensor, side: str, first: int) -> None:
        """Feeds rows of clips that are numbered from `first`.

        Args:
            side: `fake`, `real`, or `pairs`.
        """
        metric = self.metric
        assert metric is not None
        kinds = _kinds(metric)
        kind = kinds[0] if side == "pairs" else side
        if kind in kinds:
            metric.put(kind, torch.arange(first, first + len(rows)), rows)

    @property
    def sides(self) -> tuple[str, ...]:
        """Whose clips it describes."""
        assert self.metric is not None
        return tuple(kind for kind in _kinds(self.metric) if kind != "real" or self.metric.uses_real)

    def result(self) -> MetricResult:
        """The number, or None with the reason in its note."""
        if self.why or self.metric is None:
            return MetricResult(None, None, 0, 0, self.fingerprint, self.why)
        try:
            result = self.metric.result()
        except BenchError as error:
            return MetricResult(None, None, 0, 0, self.fingerprint, str(error))
        if result.value is not None and not math.isfinite(result.value):
            return replace(result, value=None, standard_error=None, note=f"the value is {result.value}", curve=None)
        return result


def _kinds(metric: ClipMetric) -> list[str]:
    """Of rows that it keeps, that of generated clips or of pairs first."""
    return [kind for kind in ("fake", "pairs", "real") if hasattr(metric, f"{kind}_rows")]


class _NoData:
    """Stands for a datamodule: there is none, and a metric that asks for one has no value."""

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def __getattr__(self, name: str) -> NoReturn:
        raise BenchError(f"{self._metric} reads a training set, which two folders of videos do not have")
