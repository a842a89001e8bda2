"""One pass of samples through every metric: during training, in `test`, and for exported weights alike."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, to_float
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.strips import Strips
from metrics.base import MetricResult
from metrics.protocol import Protocol
from metrics.suite import MetricSuite

AT_ONCE = 128  # clips, where several samples are drawn for each


def to_device(value: Any, device: torch.device) -> Any:
    """Tensors of a nested batch on `device`."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    return value


def head(value: Any, count: int) -> Any:
    """The first `count` clips of a batch."""
    if isinstance(value, dict):
        return {key: head(item, count) for key, item in value.items()}
    return value[:count] if isinstance(value, Tensor | list) else value


def never() -> bool:
    """Nobody interrupts."""
    return False


@torch.no_grad()
def run_protocol(
    method: Method,
    data: ClipData,
    protocol: Protocol,
    suite: MetricSuite,
    *,
    batch_size: int = 32,
    rank: int = 0,
    world: int = 1,
    interrupted: Callable[[], bool] = never,
    progress: Callable[[int, int], None] | None = None,
    strips: Strips | None = None,
) -> dict[str, MetricResult] | None:
    """Samples `protocol.n_fake` clips and scores them against `protocol.n_real` real ones.

    Where the protocol draws several samples for each clip, about `AT_ONCE` clips are made at a time. Each sample's
    noise is keyed by the numbers of clip and sample, and every rank takes every `world`-th clip: the numbers do not
    depend on batch size or ranks beyond float32 rounding. The caller sets eval mode (`sampling_weights`).

    Args:
        interrupted: asked before clips are made, collectively; True breaks off.
        progress: called with (clips done, clips in all) on this rank.
        strips: is shown every sample of every batch.

    Returns:
        None when broken off, else a result for each metric.
    """
    assert protocol.frames is not None and protocol.stride is not None  # resolved
    device = method.device
    suite.to(device).reset()
    suite.prepare(data, protocol)
    method.prepare(data)
    numbers = list(range(rank, max(protocol.n_real, protocol.n_fake), world))
    clips = -(-max(protocol.n_real, protocol.n_fake) // world)  # of the rank that has most
    together = max(AT_ONCE // batch_size, 1)  # samples of a clip; the same on all ranks, which are asked alike

    def noise(part: VideoBatch, sample: int) -> ClipNoise:
        return ClipNoise(protocol.seed, part["index"].cpu(), sample)

    for start in range(0, clips, batch_size):
        if interrupted():
            return None
        chosen = numbers[start : start + batch_size]
        batch: VideoBatch = data.eval_batch(protocol.split, chosen, protocol.frames, protocol.stride, protocol.seed)
        batch = to_float(to_device(batch, device))
        n_fake = sum(i < protocol.n_fake for i in chosen)
        n_real = sum(i < protocol.n_real for i in chosen)
        asked = batch if n_fake == len(chosen) else head(batch, n_fake)
        for first in range(0, protocol.samples, together):
            if first and interrupted():
                return None
            samples = range(first, min(first + together, protocol.samples))
            # A rank without clips still updates, with none: torchmetrics cannot gather a state that was never fed.
            none = [batch["video"][:0]] * len(samples)
            many = method.sample_many(asked, [noise(asked, sample) for sample in samples]) if n_fake else none
            for sample, fake in zip(samples, many, strict=True):
                # From noise of its own: a generator that was drawn from would not give the same again.
                batch["requested"] = dict(method.requested(batch, noise(batch, sample)))
                suite.update(fake, batch["video"][:n_real], batch, sample)
                if strips is not None and n_fake:
                    strips.add(batch, fake, sample)
        if progress:
            progress(min(start + batch_size, len(numbers)), len(numbers))
    return suite.results()
