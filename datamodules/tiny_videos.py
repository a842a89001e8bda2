"""VGAN's tiny videos (Vondrick, Pirsiavash, Torralba, NIPS 2016): Flickr scenes, stabilised, one JPEG strip a clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Video
from datamodules.strip_reader import Layout, Resize, StripReader

STRIPS = "frames-stable-many"  # the folder that the archives unpack into

PUBLISHED = Published(
    title="VGAN's tiny videos",
    folder="tiny_videos",
    origin="http://data.csail.mit.edu/videogan/: golf.tar.bz2 and golf.txt, and likewise the other scenes",
    tree=(
        "golf.txt, one path below frames-stable-many a line (what follows a space is not read)",
        "frames-stable-many/{...}/{video}/0001.jpg, frames of 128x128 one below the other",
    ),
)


class TinyVideos(PublishedVideos):
    """Tiny videos as VGAN's code reads them. Attribute: `category` (place in `scenes`).

    Of every strip the first 32 frames are taken, a shorter one repeats its last; TGAN draws 16 of all frames
    (`first: null`). VGAN's code gives a grey clip for a file that it cannot read, without a word; here it is named.
    It scales bilinearly, TGAN takes the nearest pixel, and here `area` averages. Names of the archives and folders are
    those that users' loaders tell of. No split is published: clips of one video (one folder) stay together.

    Args:
        scenes: which lists are read, such as `golf`, `beach`, `train_station`, `hospital`: `{scene}.txt`.
        first: how many frames of a strip are used; None takes all of them and repeats none.
        resize: `area`, `bilinear` or `bilinear_strip`; see `StripReader`.
        limit: how many lines of each list are read; None takes all. The golf list has about 600,000, whose cache at
            64x64 needs 240 GB.
        val, test: shares of the videos.
    """

    published = PUBLISHED

    def __init__(
        self,
        scenes: Sequence[str] = ("golf",),
        frames: int = 32,
        first: int | None = 32,
        resize: Resize = "area",
        limit: int | None = None,
        val: float = 0.05,
        test: float = 0.05,
        **common: Any,
    ) -> None:
        super().__init__(frames=frames, val=val, **common)
        if (self.channels, self.fit, self.fps) != (3, "squash", None):
            raise BenchError(
                "data.init_args.channels, fit and fps of tiny videos cannot be changed: strips are square RGB"
            )
        self.categories, self.test, self.limit = tuple(scenes), test, limit
        self.resize = resize
        self.reader = TinyReader(self.height, self.width, resize, first)

    def list_videos(self, root: Path) -> list[Video]:
        """One video a line of the scenes' lists."""
        base = root / STRIPS if (root / STRIPS).is_dir() else root
        videos: dict[str, Video] = {}
        for category, scene in enumerate(self.categories):
            found = [place / f"{scene}.txt" for place in (root, base) if (place / f"{scene}.txt").is_file()]
            if not found:
                raise self.published.differs(root, f"{scene}.txt")
            lines = found[0].read_text().splitlines()[: self.limit]
            paths = [line.split()[0] for line in lines if line.strip()]
            if not paths:
                raise BenchError(f"{found[0]} is empty: expected the path of a strip a line")
            for path in paths:
                if path in videos and videos[path].source.attributes["category"] != category:
                    raise BenchError(f"{found[0]}: {path} is also in another scene's list")
                video = path.rpartition("/")[0] or path
                videos[path] = Video(Source(base / path, path, {"category": category}), video)
        return list(videos.values())

    def split_rule(self) -> str:
        """For messages."""
        return f"{super().split_rule()} and test={self.test}, shares of the videos"


class TinyReader(StripReader):
    """The first frames of a strip whose frames lie one below the other.

    Args:
        height, width, resize: see `StripReader`.
        first: frames given; of a shorter strip the last is repeated. None gives those that are there.
    """

    def __init__(self, height: int, width: int, resize: Resize = "area", first: int | None = 32) -> None:
        super().__init__(height, width, resize)
        if first is not None and first < 1:
            raise BenchError(f"data.init_args.first must be at least 1, found {first}")
        self.first = first
        self.policy |= {"reader": "tiny strip", "first": first}

    def count(self, path: Path) -> int:
        """Frames that `read` gives."""
        count = super().count(path)
        return self.first or count

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W 3."""
        frames = super().read(path)
        if self.first is None:
            return frames
        missing = self.first - len(frames)
        return np.concatenate([frames, np.repeat(frames[-1:], missing, 0)]) if missing > 0 else frames[: self.first]

    def _layout(self, size: tuple[int, int]) -> Layout:
        width, height = size
        if width > height:
            raise BadFile(
                f"{width}x{height} pixels: frames should lie one below the other, so it should not be wider than high"
            )
        return super()._layout(size)
