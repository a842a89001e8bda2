"""The middle of pictures of a known size."""

from typing import Any

import numpy as np

from datamodules.errors import BenchError
from datamodules.reading.footage import Footage
from datamodules.reading.scaling import Scaler
from datamodules.video_reader import VideoReader


class WindowReader(VideoReader):
    """Reads the square in the middle of the picture, resized like a whole picture.

    Args:
        height, width: of the frames given.
        channels: 3 or 1.
        window: side of the square in pixels of the file.
        source_height, source_width: that pictures are expected to have; others are first brought to that size.
        fps: see `VideoReader`.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        window: int,
        source_height: int,
        source_width: int,
        fps: float | None = None,
    ) -> None:
        super().__init__(height, width, channels, fps=fps)
        if not 0 < window <= min(source_height, source_width):
            raise BenchError(f"data.init_args.window must lie in 1..{min(source_height, source_width)}, found {window}")
        self.whole = (round(source_height * height / window), round(source_width * width / window))
        self.policy |= {"window": window, "source": [source_height, source_width]}

    def scaler(self, video: Footage) -> Scaler:
        """Scales so that the window gets the size wanted, and cuts it out."""
        height, width, channels = self.shape
        window = _Window(*self.whole, channels, "squash", self.alpha, video.aspect)
        window.rows, window.columns = height, width
        return window


class _Window(Scaler):
    rows = columns = 0

    def __call__(self, frame: Any) -> np.ndarray:
        top, left = (self.height - self.rows) // 2, (self.width - self.columns) // 2
        return super().__call__(frame)[top : top + self.rows, left : left + self.columns]
