"""Weizmann human actions (Gorelick et al., PAMI 2007) as distributed; MoCoGAN's strips of four actions: strips.py."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.io import loadmat

from datamodules.bad_files import BadFile
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Split, Video, entries, some
from datamodules.reading.open import open_video
from datamodules.window_reader import WindowReader

ACTIONS = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
PERSONS = ("daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar")
# A digit behind an action counts the takes (lena_run1, lena_run2), except that wave1 and wave2 are actions.
VIDEO = re.compile(rf"({'|'.join(PERSONS)})_({'|'.join(ACTIONS)})\d?\.avi")
HEIGHT, WIDTH = 144, 180

PUBLISHED = Published(
    title="Weizmann",
    folder="weizmann",
    origin="the page Actions as Space-Time Shapes of the Weizmann Institute (wisdom.weizmann.ac.il/~vision): ten zips, "
    "one an action, unpacked with unzip",
    tree=(
        "{action}/{person}_{action}.avi, or all files beside each other",
        "(93 files of 9 persons and 10 actions; lena runs, skips and walks twice: lena_run1.avi, lena_run2.avi)",
    ),
)


class Weizmann(PublishedVideos):
    """Weizmann from its avi files, 180x144 at 25/s.

    Attributes: `category` (place in `actions`), `subject` (0..8, names sorted).

    VideoVAE and TwoStreamVAN train on the first two thirds of every video and test on the last third (`split: time`);
    `actor` holds persons out. MoCoGAN's 81 videos of nine actions are recalled, as is its crop of 96x96 whose place is
    not told; which action it leaves out is not told either. Crops around the person, as VideoVAE's followers use them,
    come from boxes that are not distributed with the set.

    Args:
        actions: which of the ten; None takes all.
        split: `time` or `actor`.
        val_actors, test_actors: persons held out by `actor`; with [] as `val_actors`, files are held out by `val`.
        window: side of the square in the middle of the picture that is used, in pixels of the file, at most 144; None
            takes the whole picture as `fit` says. 128 leaves out 26 columns and 8 rows on each side.
    """

    published = PUBLISHED

    def __init__(
        self,
        actions: list[str] | None = None,
        split: Literal["time", "actor"] = "time",
        val_actors: Sequence[str] = ("moshe",),
        test_actors: Sequence[str] = ("shahar",),
        window: int | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.categories = tuple(actions or ACTIONS)
        _require_known("actions", self.categories, ACTIONS)
        _require_known("val_actors and test_actors", [*val_actors, *test_actors], PERSONS)
        if split not in ("time", "actor"):
            raise BenchError(f"data.init_args.split of Weizmann is time or actor, found {split!r}")
        self.split = split
        self.held_out: dict[str, Split] = {name: "val" for name in val_actors}
        self.held_out |= {name: "test" for name in test_actors}
        if self.categories == ACTIONS:
            self.expected = 93
        if window is not None:
            self.reader = WindowReader(self.height, self.width, self.channels, window, HEIGHT, WIDTH, self.fps)
            self.resize = f"area, middle {window}x{window} of {WIDTH}x{HEIGHT}"

    def list_videos(self, root: Path) -> list[Video]:
        """Files in the actions' folders or beside each other; two videos a file with `split: time`."""
        places = [root, *(root / action for action in ACTIONS if (root / action).is_dir())]
        found = [(VIDEO.fullmatch(name), place / name) for place in places for name in entries(place)]
        files = {path.name: (match[1], match[2], path) for match, path in found if match}
        for action in self.categories:
            if not any(file[1] == action for file in files.values()):
                packed = f" (unpack {action}.zip)" if (root / f"{action}.zip").is_file() else ""
                raise self.published.differs(root, f"{action}/daria_{action}.avi{packed}")
        videos = []
        for _, (person, action, path) in sorted(files.items()):
            if action in self.categories:
                attributes = {"category": self.categories.index(action), "subject": PERSONS.index(person)}
                videos += self._parts(path, f"{action}/{path.stem}", person, attributes)
        return videos

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.split: {self.split} and {super().split_rule()}"

    def _parts(self, path: Path, name: str, person: str, attributes: dict[str, int]) -> list[Video]:
        if self.split == "actor":
            return [Video(Source(path, name, attributes), path.stem, self.held_out.get(person, "train"))]
        try:
            with open_video(path, header_only=True) as video:
                length = video.header or 0
        except BadFile:  # is listed whole, and named when it is read
            return [Video(Source(path, name, attributes), path.stem, "train")]
        cut = 2 * length // 3
        if not cut:
            raise BenchError(f"{path} does not say how many frames it has, so it cannot be split by time")
        return [
            Video(Source(path, f"{name}[:{cut}]", attributes, 0, cut), path.stem, "train"),
            Video(Source(path, f"{name}[{cut}:]", attributes, cut), path.stem, "test"),
        ]


def masks(path: Path, video: str, aligned: bool = False) -> np.ndarray:
    """Silhouettes of `classification_masks.mat`, as a track `mask` holds them.

    Args:
        path: the file.
        video: such as `lena_run1`.
        aligned: the person moved to the middle, instead of where it is in the video.

    Returns:
        uint8 T H W, 0 or 255.

    Raises:
        BenchError: no such video.
    """
    field = "aligned_masks" if aligned else "original_masks"
    table = loadmat(path).get(field)
    if table is None or not table.dtype.names or video not in table.dtype.names:
        known = f"no {field}" if table is None else some(table.dtype.names or ())
        raise BenchError(
            f"{path}: no masks of {video}: found {known}, expected {field} with a field such as daria_bend"
        )
    pixels = table[video].item()  # H W T
    return np.ascontiguousarray((pixels != 0).transpose(2, 0, 1)).astype(np.uint8) * 255


def _require_known(key: str, found: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(found) - set(known))
    if unknown or len(set(found)) < len(found):
        raise BenchError(
            f"data.init_args.{key}: {some(unknown or found)} is not known or named twice; known: {some(known, 10)}"
        )
