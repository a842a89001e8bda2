"""Small copies of published layouts. Frame k of a video has grey level 20 + 4 k, so it can be told from its pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from datamodules.base import ClipData

SPLITS = ("train", "val", "test")


def levels(frames: int, height: int = 12, width: int = 16) -> np.ndarray:
    """uint8 T H W 3, each frame of one grey level."""
    level = (20 + 4 * np.arange(frames)).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (frames, height, width, 3)).copy()


def numbers(clip: np.ndarray) -> list[int]:
    """The numbers of frames T H W C, in any size."""
    assert np.ptp(clip.reshape(len(clip), -1), axis=1).max() <= 3  # lossy codecs; neighbours are 4 apart
    return [round((float(frame.mean()) - 20) / 4) for frame in clip]


def write_video(path: Path, video: np.ndarray | int = 12, rate: int = 25, codec: str = "rawvideo") -> Path:
    """An avi or mp4; a number stands for `levels` of so many frames."""
    frames = levels(video) if isinstance(video, int) else video
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr24" if codec == "rawvideo" else "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def write_frames(folder: Path, frames: int | Sequence[int], name: str = "img_{:04}.png", side: int = 8) -> Path:
    """A folder of pictures; a sequence names the frames that there are."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(range(frames)) if isinstance(frames, int) else list(frames)
    pictures = levels(max(wanted, default=0) + 1, side, side)
    for number in wanted:
        Image.fromarray(pictures[number]).save(folder / name.format(number))
    return folder


def read_all(data: ClipData, split: str) -> dict[str, list[int]]:
    """Numbers of the frames of every video of a split, by name."""
    store = data.store(split)
    return {
        name: numbers(store.gather(np.array([row]), np.arange(length)[None])[0])
        for row, (name, length) in enumerate(zip(store.names, store.lengths, strict=True))
    }


def named(data: ClipData) -> dict[str, set[str]]:
    """Names of the videos of each split that has any."""
    return {split: set(data.store(split).names) for split in SPLITS}
