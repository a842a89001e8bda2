"""What lies in pictures beside a frame: label maps, instance maps, coloured conditions."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.view import View
from datamodules.pictures import opened, require_8_bits
from datamodules.tracks import Track


class Part(Protocol):
    """Something known of each frame.

    Attributes:
        key: of `VideoBatch`.
        policy: JSON-able; everything that decides the values.
    """

    key: str

    @property
    def policy(self) -> Any: ...  # noqa: D102

    def track(self, height: int, width: int) -> Track:
        """How one frame's value lies in a cache."""
        ...

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """The value of one frame, of the track's type and shape. Raises `BadFile` that names the file."""
        ...


def read_rgb(path: Path) -> np.ndarray:
    """uint8 H W 3. Transparency is cut off. Raises `BadFile`."""
    try:
        with opened(path) as image:
            require_8_bits(image)
            return np.asarray(image.convert("RGB"))
    except BadFile as error:
        raise BadFile(f"{path}: {error}") from error


def read_map(path: Path) -> np.ndarray:
    """H W of whole numbers as they are stored: 8 bits, palette indices, 16 or 32 bits. Raises `BadFile`."""
    try:
        with opened(path) as image:
            if image.mode.split(";")[0] not in ("L", "P", "I", "1"):
                raise BadFile(f"mode {image.mode}: a map has one whole number a pixel, not colours")
            return np.asarray(image)
    except BadFile as error:
        raise BadFile(f"{path}: {error}") from error


class LabelMap:
    """`labels`: the class of each pixel, resized to the nearest.

    Args:
        classes: labels are 0 to classes - 1. Others would index beyond a one-hot map: on a GPU that is an assertion
            without a file's name.
        unlisted: the class that other values, such as 255 for ignored pixels, are turned into; None makes them an
            error.
    """

    key = "labels"

    def __init__(self, classes: int, unlisted: int | None = None, role: str = "label") -> None:
        self.classes, self.unlisted, self.role = classes, unlisted, role
        self.policy = {"classes": classes, "unlisted": unlisted}

    def track(self, height: int, width: int) -> Track:
        """Uint8 H W."""
        return Track("uint8", (height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `Part`."""
        path = source.frames[frame][self.role]
        values = read_map(path)
        wrong = values >= self.classes
        if wrong.any():
            if self.unlisted is None:
                found = ", ".join(map(str, np.unique(values[wrong])[:8]))
                raise BadFile(
                    f"{path}: labels {found} found, expected 0 to {self.classes - 1}. Say how many there are with "
                    "data.init_args.classes, or which class the others count as with data.init_args.unlisted"
                )
            values = np.where(wrong, self.unlisted, values)
        return view.nearest(values.astype(np.uint8), str(path))


class InstanceMap:
    """`instances`: a number for each object, resized to the nearest.

    Args:
        deep: whether more than 8 bits are a must. Cityscapes numbers instances by class * 1000 + k, which an 8-bit
            file has lost.
    """

    key = "instances"

    def __init__(self, deep: bool = False, role: str = "instance") -> None:
        self.deep, self.role = deep, role
        self.policy = {"deep": deep}

    def track(self, height: int, width: int) -> Track:
        """Int32 H W."""
        return Track("int32", (height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `Part`."""
        path = source.frames[frame][self.role]
        values = read_map(path)
        if self.deep and values.dtype.itemsize == 1:
            raise BadFile(
                f"{path}: 8 bits a pixel, but numbers of instances go beyond 1000; use the 16-bit file as it is "
                "distributed"
            )
        return view.nearest(values.astype(np.int32), str(path))


class ColourMap:
    """`condition`: a coloured picture, such as a drawn pose or edges."""

    key = "condition"
    policy = "rgb"

    def __init__(self, role: str = "condition") -> None:
        self.role = role

    def track(self, height: int, width: int) -> Track:
        """Uint8 3 H W."""
        return Track("uint8", (3, height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `Part`."""
        path = source.frames[frame][self.role]
        return view.picture(read_rgb(path), str(path)).transpose(2, 0, 1)


class FeatureMap(ColourMap):
    """`condition`: a picture of features that are constant on each instance, resized to the nearest."""

    policy = "features"

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `Part`."""
        path = source.frames[frame][self.role]
        return view.nearest(read_rgb(path), str(path)).transpose(2, 0, 1)
