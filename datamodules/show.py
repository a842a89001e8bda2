"""What a data set yields, as one picture: each clip's frames, and below them everything that is known of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules.batch import VideoBatch, to_float
from datamodules.show_tracks import NOTHING, SMALLEST, Limbs, Zoom, pictures_of

GAP, MARGIN, LINE = 2, 112, 14  # pixels: between pictures, for row names, of a line of text
INK = (40, 40, 40)


class Row(NamedTuple):
    """Pictures uint8 K H W 3 beside each other; `captions` above them are empty, or one for each."""

    text: Sequence[str]
    pictures: np.ndarray
    captions: Sequence[str] = ()


def sheet(batch: VideoBatch, columns: int = 8, limbs: Limbs = (), largest: int = 256) -> np.ndarray:
    """Rows of every clip in turn: frames, source picture, and each track under its name. A pair of pictures is one row.

    Args:
        batch: as a datamodule gives it; at least one clip.
        columns: frames shown of each clip, evenly spaced, first and last included; all where there are fewer.
        limbs: pairs of joints to join.
        largest: shorter side, in pixels, to which larger frames are reduced, by a whole factor; at least 96.

    Returns:
        uint8 H W 3.
    """
    wide: dict[str, Tensor] = to_float(batch)
    count, frames, *size = (len(wide["video"]), *wide["video"].shape[2:])
    at = np.linspace(0, frames - 1, min(columns, frames)).round().astype(int)
    zoom = Zoom.of(min(size), max(largest, SMALLEST))
    rows: list[Row] = []
    for clip in range(count):
        found = pictures_of(wide, clip, limbs, zoom)
        first = [f"video {int(wide['index'][clip])}", *attributes(batch, clip)]
        if frames == 1:
            rows.append(
                Row(
                    first, np.concatenate([shown for _, shown in found]), [name.replace("\n", " ") for name, _ in found]
                )
            )
            continue
        rows += [
            Row(name.split("\n") if row else first, shown if len(shown) < frames else shown[at])
            for row, (name, shown) in enumerate(found)
        ]
    return _grid(rows)


def attributes(batch: VideoBatch, clip: int) -> list[str]:
    """A clip's numbers by name."""
    return [f"{key} {int(values[clip])}" for key, values in batch.get("attributes", {}).items()]


def _grid(rows: Sequence[Row]) -> np.ndarray:
    height, width = rows[0].pictures.shape[1:3]
    columns = max(len(row.pictures) for row in rows)
    heights = [height + GAP + (LINE if row.captions else 0) for row in rows]
    canvas = Image.new("RGB", (MARGIN + columns * (width + GAP) + GAP, sum(heights) + GAP), NOTHING)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for row, bottom in zip(rows, np.cumsum(heights).tolist(), strict=True):
        top = bottom - height
        lines = _fitting(row.text, height // LINE)
        for i, line in enumerate(lines):
            draw.text((6, top + (height - LINE * len(lines)) // 2 + LINE * i), line, fill=INK, font=font)
        for c, picture in enumerate(row.pictures):
            left = MARGIN + GAP + c * (width + GAP)
            canvas.paste(Image.fromarray(picture), (left, top))
            if row.captions:
                draw.text((left, top - LINE - 1), row.captions[c], fill=INK, font=font)
    return np.asarray(canvas)


def _fitting(lines: Sequence[str], count: int) -> list[str]:
    """All lines, or the first and how many more there are."""
    return list(lines) if len(lines) <= count else [*lines[: count - 1], f"and {len(lines) - count + 1} more"]
