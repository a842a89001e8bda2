"""A video as a folder of pictures, ordered as people count: frame2 before frame10."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from datamodules.bad_files import BadFile
from datamodules.pictures import SUFFIXES, opened, require_8_bits
from datamodules.reading.footage import Footage, Picture
from datamodules.reading.loss import of_picture

GREY = ("1", "L")


def natural(name: str) -> list[tuple[int, str]]:
    """Key that sorts numbers in names by value; names that differ in zeros only stay apart by their text."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, name)]


def picture_names(folder: Path) -> list[str]:
    """The pictures of a folder in natural order. Hidden files and other suffixes are passed over."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and e.name.lower().endswith(SUFFIXES)]
    return sorted(names, key=natural)


class FrameFolder(Footage):
    """Pictures of one size, 8 bits a channel, grey or colour, with or without transparency.

    Raises:
        BadFile: no picture in the folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._folder = path
        try:
            self._names = picture_names(path)
        except OSError as error:
            raise BadFile(str(error.strerror)) from error
        if not self._names:
            raise BadFile(f"a folder without pictures: looked for {', '.join(SUFFIXES)}")
        self.header = len(self._names)
        self._look_for_gaps()

    def pictures(self) -> Iterator[Picture]:
        """Frames until the first that cannot be used."""
        size = None
        for number, name in enumerate(self._names):
            try:
                frame, lossy = _frame(self._folder / name)
                self.lossy = self.lossy or lossy
                size = size or (frame.width, frame.height)
                if (frame.width, frame.height) != size:
                    raise BadFile(f"{frame.width}x{frame.height} pixels, but {self._names[0]} has {size[0]}x{size[1]}")
            except BadFile as error:
                self.broken = f"breaks off after {number} of {self.header} frames: {name}: {error}"
                return
            yield Picture(frame, None)

    def _look_for_gaps(self) -> None:
        numbers = [int(found[-1]) for name in self._names if (found := re.findall(r"\d+", Path(name).stem))]
        if len(numbers) != len(self._names):
            return
        steps = [(after - before, before, after) for before, after in pairwise(numbers)]
        odd = [(before, after) for step, before, after in steps if step != steps[0][0]]
        if odd:
            self.warnings.append(f"frame numbers leave gaps: {odd[0][1]} follows {odd[0][0]}")


def _frame(path: Path) -> tuple[Any, str | None]:
    """The picture, and how it was compressed with loss."""
    with opened(path) as image:
        require_8_bits(image)
        clear = "A" in image.getbands() or "transparency" in image.info
        mode, format = ("RGBA", "rgba") if clear else ("L", "gray") if image.mode in GREY else ("RGB", "rgb24")
        pixels: Image.Image = image.convert(mode)
        lossy = of_picture(image)
    return av.VideoFrame.from_ndarray(np.asarray(pixels), format=format), lossy
