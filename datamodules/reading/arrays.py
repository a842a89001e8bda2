"""Videos as numpy arrays: .npy, or .npz with the key `video`."""

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from datamodules.bad_files import BadFile
from datamodules.reading.footage import Footage, Picture

KEY = "video"
WANTED = "uint8 T H W C with C 1 or 3"
# numpy parses an array's header with `ast`, which in Python 3.11 raises SystemError when two threads do so at once and
# the garbage collector lets them take turns.
_HEADER = threading.Lock()


class ArrayFile(Footage):
    """uint8 T H W C, C 1 or 3. Of an .npy only the frames asked for are read.

    Raises:
        BadFile: no such array in the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._video = _load(path)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise BadFile(f"not a readable array: {error}") from error
        _check(self._video)
        self.header = len(self._video)

    def pictures(self) -> Iterator[Picture]:
        """All frames."""
        return pictures_of(self._video)


def pictures_of(video: np.ndarray) -> Iterator[Picture]:
    """Frames of uint8 T H W C."""
    for frame in video:
        grey = frame.shape[2] == 1
        plane = np.ascontiguousarray(frame[..., 0] if grey else frame)
        yield Picture(av.VideoFrame.from_ndarray(plane, format="gray" if grey else "rgb24"), None)


def _load(path: Path) -> np.ndarray:
    with _HEADER:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if KEY not in loaded.files:
                raise BadFile(f"holds {', '.join(loaded.files) or 'nothing'}; expected the key `{KEY}`")
            return np.asarray(loaded[KEY])


def _check(video: np.ndarray) -> None:
    found = f"holds {video.dtype} {video.shape}, expected {WANTED}"
    if video.dtype != np.uint8:
        raise BadFile(f"{found}; save levels 0..255 as uint8")
    if video.ndim == 4 and video.shape[3] not in (1, 3) and {1, 3} & {video.shape[0], video.shape[1]}:
        raise BadFile(f"{found}; move the channels to the last axis")
    if video.ndim != 4 or video.shape[3] not in (1, 3) or 0 in video.shape[1:]:
        raise BadFile(found)
