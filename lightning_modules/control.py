"""Attributes that a person sets: `--attribute` and `--grid` of `reelbench sample`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from datamodules.jsonfile import write_json
from datamodules.media import contact_sheet, write_mp4, write_png
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import to_device
from metrics.base import to_uint8

WORD = re.compile(r"([^=@,]+)=(\d+)(?:@(\d+))?")
SHOWN = 4  # frames of a clip in the picture


@dataclass(frozen=True)
class Wanted:
    """What `--attribute` asks for.

    Attributes:
        words: as they were written.
        changes: by attribute, (frame, value) in the order of frames: from that frame on it has that value.
    """

    words: tuple[str, ...] = ()
    changes: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.words)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `category=0,category=3@8`.

        Raises:
            BenchError: something else, or two values from the same frame on.
        """
        words = tuple(word.strip() for word in text.split(",")) if text else ()
        changes: dict[str, dict[int, int]] = {}
        for word in words:
            match = WORD.fullmatch(word)
            if match is None:
                raise BenchError(
                    f"--attribute {text}: '{word}' is not NAME=VALUE or NAME=VALUE@FRAME, such as category=3@8"
                )
            of, frame = changes.setdefault(match[1], {}), int(match[3] or 0)
            if frame in of:
                raise BenchError(f"--attribute {text}: {match[1]} is set twice from frame {frame} on")
            of[frame] = int(match[2])
        return cls(words, {name: sorted(of.items()) for name, of in changes.items()})

    def check(self, method: Method) -> None:
        """Raises `BenchError` unless the method has the attributes and values, and clips the frames."""
        for name, of in self.changes.items():
            check_control(method, name, "--attribute")
            for frame, value in of:
                if value >= method.controls[name]:
                    raise BenchError(
                        f"--attribute {name}={value}: {type(method).__name__} knows {name} 0 to "
                        f"{method.controls[name] - 1}"
                    )
                if frame >= method.frames:
                    raise BenchError(
                        f"--attribute {name}={value}@{frame}: a clip has the frames 0 to {method.frames - 1}; --frames "
                        "makes longer clips"
                    )

    def of_frames(self, clips: int, frames: int) -> dict[str, Tensor]:
        """By attribute, clips x frames int64 as `Method.control` takes them."""
        out = {}
        for name, of in self.changes.items():
            row = torch.full((frames,), -1)
            for frame, value in of:
                row[frame:] = value
            out[name] = row.expand(clips, frames)
        return out

    def sample(self, method: Method, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """As `Method.sample`, with these attributes set."""
        return method.control(batch, noise, self.of_frames(len(noise), method.frames))


def check_control(method: Method, name: str, option: str) -> None:
    """Raises `BenchError` unless the method has the attribute."""
    if not method.controls:
        raise BenchError(f"{option} {name}: {type(method).__name__} has no attributes that could be set")
    if name not in method.controls:
        known = ", ".join(method.controls)
        raise BenchError(f"{option} {name}: {type(method).__name__} has no such attribute; it has {known}")


@torch.no_grad()
def gridded(
    method: Method, data: ClipData, over: Sequence[str], values: Sequence[int], wanted: Wanted, seed: int
) -> Tensor:
    """uint8 R V C T H W: clip (r, v) has the r-th value of the first attribute and the v-th of the second.

    All clips have the noise, and what else they need, of the first validation clip. With one attribute R is 1.
    """
    rows = []
    *first, second = over
    for value in range(values[0] if first else 1):
        batch = data.eval_batch("val", [0] * values[-1], data.frames, data.stride, seed)
        noise = ClipNoise(seed, batch["index"])
        asked = wanted.of_frames(len(noise), method.frames)
        every = torch.arange(values[-1])[:, None].expand(-1, method.frames)
        asked |= {second: every} | {name: torch.full_like(every, value) for name in first}
        clips = method.control(to_float(to_device(batch, method.device)), noise, asked)
        rows.append(to_uint8(clips).cpu())
    return torch.stack(rows)


def write_grid(
    method: Method,
    data: ClipData,
    folder: Path,
    *,
    over: Sequence[str],
    n: int,
    wanted: Wanted,
    seed: int = 0,
    fps: int = 8,
) -> None:
    """Writes grid.png, grid.mp4 and grid.json: rows have the first attribute's values, columns the second's.

    Args:
        folder: where.
        over: one attribute, whose values are then the columns, or two.
        n: values of each at most, from 0 on.
        wanted: other attributes that are set.
        seed: keys the noise.

    Raises:
        BenchError: not one or two attributes, or one that the method does not have, or that is set too.
    """
    if n < 1:
        raise BenchError(f"n must be at least 1, found {n}")
    if len(over) not in (1, 2) or len(set(over)) < len(over):
        raise BenchError(f"--grid {','.join(over)}: expected one attribute, or two others as ROWS,COLUMNS")
    for name in over:
        check_control(method, name, "--grid")
        if name in wanted.changes:
            raise BenchError(f"--grid {','.join(over)} shows every {name}, and --attribute sets it")
    values = [min(n, method.controls[name]) for name in over]
    clips = gridded(method, data, over, values, wanted, seed)  # R V C T H W
    rows, columns = clips.shape[:2]
    at = np.unique(np.linspace(0, clips.shape[3] - 1, SHOWN).round().astype(int))
    still = clips[:, :, :, at].permute(0, 1, 3, 4, 5, 2).flatten(1, 2).numpy()  # R V*S H W C
    write_png(folder / "grid.png", contact_sheet(still, rows=rows, columns=columns * len(at), gap=1))
    tiles = clips.permute(3, 0, 4, 1, 5, 2).numpy()  # T R H V W C
    write_mp4(folder / "grid.mp4", tiles.reshape(len(tiles), rows * clips.shape[4], -1, clips.shape[2]), fps)
    names = ["rows", "columns"][-len(over) :]
    told = {place: {"attribute": name, "values": count} for place, name, count in zip(names, over, values, strict=True)}
    write_json(folder / "grid.json", {**told, "attribute": ",".join(wanted.words), "seed": seed, "frames": at.tolist()})
