"""Methods that draw a frame for each frame they are shown, whatever the length."""

from collections.abc import Iterator
from contextlib import contextmanager

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.contract import Method


class AlongClipMethod(Method):
    """Base of methods whose clips are as long as the poses, labels or conditions that `sample` is shown."""

    any_length = True
    _asked: int | None = None  # frames, inside `at_length`

    @contextmanager
    def at_length(self, frames: int | None) -> Iterator[None]:
        """See `Method.at_length`: any, where the data's videos are as long; see `length_shown`."""
        if frames is not None and frames < 1:
            raise BenchError(f"{type(self).__name__} makes clips of at least one frame, not {frames}")
        own, self._asked = self._asked, frames
        try:
            yield
        finally:
            self._asked = own

    def length_shown(self, data: ClipData) -> int:
        """See `Method.length_shown`."""
        return data.frames if self._asked is None else self._asked
