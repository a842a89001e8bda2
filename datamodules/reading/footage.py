"""What every kind of video gives once opened: pictures one after another, and what was found out on the way."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import av


class Picture(NamedTuple):
    """One frame as it is stored.

    Attributes:
        time: in seconds, None where nothing tells it.
        number: of the frame in its file; given by who counts them.
    """

    frame: av.VideoFrame
    time: float | None
    number: int = 0


@dataclass
class Footage:
    """An opened video; sub-classes give its pictures. What is found out is complete when `pictures` has ended.

    Attributes:
        header: frames that the file claims to have; None where it does not say. A claim, often wrong.
        seconds: duration that the file claims.
        rate: frames a second; None where nothing tells it.
        aspect: width of a pixel over its height.
        warnings: what a user should know although the frames are usable.
        broken: why frames are missing or damaged from some point on.
        lossy: how compression changed the frames, such as `h264 yuv420p`; None where it did not.
        sound: how many of the pictures given so far are known to be sound. It may lag behind: a picture can be
            predicted from one that is shown later, and is damaged with it.
    """

    header: int | None = None
    seconds: float | None = None
    rate: float | None = None
    aspect: Fraction = Fraction(1)
    warnings: list[str] = field(default_factory=list)
    broken: str | None = None
    lossy: str | None = None
    sound: float = math.inf

    def pictures(self) -> Iterator[Picture]:
        """The pictures in order, up to the first that is seen to be damaged. Raises `BadFile` where there is none."""
        raise NotImplementedError(f"{type(self).__name__}.pictures")

    def close(self) -> None:
        """Gives the file back."""
