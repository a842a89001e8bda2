import torch

from datamodules.base import ClipData
from datamodules.batch import to_float
from datamodules.errors import BenchError
from lightning_modules.contract import Method
from lightning_modules.evaluation import to_device
from metrics.surprise import Surprise, around_events

BATCH = 50


@torch.no_grad()
def surprise_of(
    method: Method, data: ClipData, events: str, split: str, clips: int, frames: int, reach: int, seed: int
) -> Surprise:
    """How unsure a method is around events of its data; see `metrics.surprise.around_events`.

    Args:
        method: with an `uncertainty`; put in eval mode.
        data: whose batches hold `events`, B T.
        split, clips, frames, seed: which evaluation clips.
        reach: frames before and after an event.

    Raises:
        BenchError: data without such events, or a method that does not say how unsure it is.
    """
    method.eval()
    series, happened = [], []
    for start in range(0, clips, BATCH):
        chosen = range(start, min(start + BATCH, clips))
        batch = to_float(to_device(data.eval_batch(split, chosen, frames, data.stride, seed), method.device))
        if events not in batch:
            known = ", ".join(sorted(set(batch) - {"index", "name"}))
            raise BenchError(f"events {events}: {data.name} gives {known}; moving digits give bounces")
        given = batch[events].shape
        if given != (len(chosen), frames):
            raise BenchError(
                f"events {events}: one number a clip and frame is needed, {data.name} gives {tuple(given)}"
            )
        unsure = method.uncertainty(batch)
        if unsure.shape != (len(chosen), frames):
            raise BenchError(
                f"{type(method).__name__}.uncertainty gave {tuple(unsure.shape)} for {len(chosen)} clips of {frames} "
                "frames; expected one number a clip and frame"
            )
        series.append(unsure.float())
        happened.append(batch[events])
    return around_events(torch.cat(series), torch.cat(happened), reach)
