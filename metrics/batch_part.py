"""The part of a batch that belongs to some of its clips and to the frames that are scored."""

from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor

from datamodules.batch import VideoBatch, to_float
from datamodules.tracks import BETWEEN

FROM_METHOD = frozenset({"requested"})  # keys that the data cannot give
_TIME = {"labels": 1, "instances": 1, "face_box": 1, "bounces": 1} | dict.fromkeys(
    ("video", "condition", "mask", "pose", *BETWEEN), 2
)  # axis of time; keys that are not here have none


def part(batch: VideoBatch, keys: Iterable[str], chosen: Tensor, frames: int) -> VideoBatch:
    """`index` and those of `keys` that the batch has, widened as methods see them (`to_float`).

    Args:
        chosen: bool B, the clips.
        frames: the last so many of each clip; of what runs between frames one fewer.
    """
    out: dict[str, Any] = {"index": batch["index"][chosen.to(batch["index"].device)]}
    for key in keys:
        if key in batch:
            value = _of_clips(cast(Any, batch)[key], chosen)
            if key in _TIME:
                axis, kept = _TIME[key], frames - (key in BETWEEN)
                value = value.narrow(axis, value.shape[axis] - kept, kept)
            out[key] = value
    return cast(VideoBatch, to_float(out))


def _of_clips(value: Any, chosen: Tensor) -> Any:
    if isinstance(value, dict):
        return {key: _of_clips(item, chosen) for key, item in value.items()}
    if isinstance(value, list):
        return [item for item, kept in zip(value, chosen.tolist(), strict=True) if kept]
    return value[chosen.to(value.device)]
