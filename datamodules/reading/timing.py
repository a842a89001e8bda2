"""When frames are shown, and whether they last equally long."""

from typing import Any

UNEVEN = 1.5  # ratio of the longest to the shortest frame from which on the rate counts as variable


class Timing:
    """Follows the time stamps of a stream.

    Args:
        rate: frames a second, for streams without time stamps such as raw H.264.

    Attributes:
        end: when the last frame ends, in seconds.
        step: the shortest time between two frames, or one over `rate`.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._number = 0
        self._last: float | None = None
        self._stamped = True
        self._shortest, self._longest = float("inf"), 0.0
        self.end = 0.0

    @property
    def step(self) -> float:  # noqa: D102
        return self._shortest if 0 < self._shortest < float("inf") else 1 / self._rate if self._rate else 0.0

    def of(self, frame: Any) -> float | None:
        """The time of the next frame of the stream: its stamp, else its number over the rate."""
        number, self._number = self._number, self._number + 1
        if frame.time is None:
            self._stamped = False
            return number / self._rate if self._rate else None
        time = float(frame.time)
        if self._last is not None:
            gap = time - self._last
            self._shortest, self._longest = min(self._shortest, gap), max(self._longest, gap)
        self._last = time
        lasts = float(frame.duration * frame.time_base) if frame.duration else self.step
        self.end = max(self.end, time + lasts)
        return time

    def warnings(self) -> list[str]:
        """What is odd about the stamps."""
        if not self._stamped or self._number < 3:
            return []
        if self._shortest <= 0:
            return ["time stamps do not increase from frame to frame"]
        if self._longest / self._shortest > UNEVEN:
            return [
                f"variable frame rate: frames last {self._shortest:.3f} to {self._longest:.3f} s; they are taken by "
                "number unless fps is set"
            ]
        return []
