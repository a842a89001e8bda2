from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Curve:
    """A metric for each scored frame: what prediction papers plot.

    Attributes:
        frame: place in the clip, counted from 0 with the context frames.
        mean: over clips.
        standard_error: of `mean`; None from a single clip.
        count: clips behind each mean.
    """

    frame: tuple[int, ...]
    mean: tuple[float, ...]
    standard_error: tuple[float, ...] | None
    count: int

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        error = None if self.standard_error is None else list(self.standard_error)
        return {"frame": list(self.frame), "mean": list(self.mean), "standard_error": error, "count": self.count}
