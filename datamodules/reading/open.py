"""One front for everything that holds a video."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from datamodules.bad_files import BadFile
from datamodules.pictures import opened
from datamodules.reading.arrays import ArrayFile, pictures_of
from datamodules.reading.footage import Footage, Picture
from datamodules.reading.frame_folder import FrameFolder
from datamodules.reading.kinds import kind_of
from datamodules.reading.loss import of_picture
from datamodules.reading.video_file import VideoFile
from datamodules.strip_reader import StripReader

STRIP = 4  # times as long as wide: a picture from there on is a strip of frames, a shorter one is a single frame


class Strip(Footage):
    """A video as one picture; see `StripReader`."""

    def __init__(self, path: Path, frame_width: int | None = None) -> None:
        super().__init__()
        self._path, self._reader = path, StripReader(1, 1, frame_width=frame_width)
        if frame_width is None and not is_strip(path):
            raise BadFile("a single picture, not a video; frames of one video lie in a folder of their own")
        with opened(path) as image:
            self.lossy = of_picture(image)
        self.header = self._reader.count(path)

    def pictures(self) -> Iterator[Picture]:
        """All frames."""
        return pictures_of(self._reader.cut(self._path))


def is_strip(path: Path) -> bool:
    """Whether the picture is so long that it is a strip of frames. Raises `BadFile`."""
    with opened(path) as image:
        return max(image.size) >= STRIP * min(image.size)


@contextlib.contextmanager
def open_video(path: Path, frame_width: int | None = None, header_only: bool = False) -> Iterator[Footage]:
    """Opens a file or folder of frames by its content.

    Args:
        path: a video, an .npy or .npz, a strip, or a folder of pictures.
        frame_width: of frames side by side in a strip that are not square.
        header_only: no pictures will be asked for.

    Raises:
        BadFile: saying why it is no video.
    """
    footage: Footage
    match kind_of(path):
        case "folder":
            footage = FrameFolder(path)
        case "picture":
            footage = Strip(path, frame_width)
        case "array":
            footage = ArrayFile(path)
        case "video":
            footage = VideoFile(path, header_only)
    try:
        yield footage
    finally:
        footage.close()
