"""One frame as it lies in a cache: its planes, then its tracks, byte behind byte."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datamodules.tracks import Track

VIDEO = "video"


def record_dtype(shape: tuple[int, int, int], tracks: Mapping[str, Track]) -> np.dtype:
    """Planar, so that one copy gives clips as they travel.

    Args:
        shape: C, H, W of a frame, uint8.
        tracks: what follows it, by key of `VideoBatch`.
    """
    fields: list[Any] = [(VIDEO, np.uint8, shape)]
    for key in sorted(tracks):
        dtype = np.dtype(tracks[key].dtype).newbyteorder("<")
        fields.append((key, dtype, tracks[key].shape))
    return np.dtype(fields)


def pack(piece: np.ndarray | Mapping[str, np.ndarray], dtype: np.dtype, reader: str) -> np.ndarray:
    """Consecutive frames as records.

    Args:
        piece: uint8 T H W C, or a mapping with it as `video` and every track's T rows beside it.
        dtype: of `record_dtype`.
        reader: its name, for the message.

    Returns:
        T records.

    Raises:
        TypeError: the reader gave something else than it promised: a mistake of the code.
    """
    given = {VIDEO: piece} if isinstance(piece, np.ndarray) else dict(piece)
    assert dtype.names is not None and dtype.fields is not None
    if set(given) != set(dtype.names):
        raise TypeError(f"{reader} gave {sorted(given)}, not {sorted(dtype.names)}")
    given[VIDEO] = given[VIDEO].transpose(0, 3, 1, 2)  # T C H W
    count = len(given[VIDEO])
    records = np.empty(count, dtype)
    for key, values in given.items():
        expected, shape = dtype.fields[key][0].subdtype or (dtype.fields[key][0], ())
        if values.dtype != expected or values.shape != (count, *shape) or not count:
            raise TypeError(f"{reader} gave {key} as {values.dtype} {values.shape}, not {expected} {('T', *shape)}")
        records[key] = values
    return records
