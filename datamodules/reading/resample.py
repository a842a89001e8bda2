"""Another frame rate by the frames' times: frames are repeated or left out, never mixed."""

from collections.abc import Iterator

from datamodules.bad_files import BadFile
from datamodules.reading.footage import Picture

EARLY = 1e-6  # seconds: time stamps are rounded


def resampled(pictures: Iterator[Picture], fps: float) -> Iterator[Picture]:
    """At k / fps seconds after the first frame, the picture that is shown then.

    The last picture is shown as long as the one before it was.

    Raises:
        BadFile: the frames have no times.
    """
    shown: Picture | None = None
    start = lasts = 0.0
    number = 0
    for picture in pictures:
        if picture.time is None:
            raise BadFile("its frames have no times, so they cannot be brought to another rate: leave fps unset")
        if shown is None:
            start = picture.time
        else:
            lasts = picture.time - (shown.time or 0.0)
            while start + number / fps < picture.time - EARLY:
                yield shown
                number += 1
        shown = picture
    if shown is not None:
        end = (shown.time or 0.0) + lasts
        while number == 0 or start + number / fps < end - EARLY:
            yield shown
            number += 1
