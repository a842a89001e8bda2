"""The size that frames have where nobody asks for another."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.bad_files import BadFile, DroppedFile, listed
from datamodules.errors import BenchError
from datamodules.video_reader import VideoReader
from experiments.score.digests import Digests
from experiments.score.files import Video
from experiments.score.rows import Shelf

TRIED = 100  # videos that cannot be read before it is given up


def native_size(root: Path, videos: Sequence[Video], digests: Digests) -> tuple[int, int]:
    """Height and width of the first real video that can be read, remembered with its digest.

    Raises:
        BenchError: none of the first can.
    """
    failed: list[tuple[str, str]] = []
    with Shelf(root, {"of": "sizes"}) as shelf:
        for video in videos[:TRIED]:
            digests.find([video])
            key = digests.of(video)
            known = shelf.facts(key) if key else None
            if known is not None:
                return known["height"], known["width"]
            reading = VideoReader(8, 8).open(video.path, 0, 1)
            try:
                for _ in reading:
                    pass
            except (BadFile, DroppedFile) as error:
                failed.append((video.name, str(error)))
                continue
            if reading.size is not None:
                if key:
                    shelf.add(key, dict(zip(("height", "width"), reading.size, strict=True)))
                return reading.size
    raise BenchError(f"none of the {len(failed)} real videos can be read:\n{listed(failed)}")
