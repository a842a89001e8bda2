"""KTH human actions (Schuldt, Laptev, Caputo, ICPR 2004): six actions, 25 people, four scenarios, grey 160x120."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from datamodules.bad_files import DroppedFile
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Split, Video, entries
from datamodules.video_reader import Reading, VideoReader

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SEQUENCES = "00sequences.txt"
NAME = rf"(person(?:0[1-9]|1\d|2[0-5])_(?:{'|'.join(ACTIONS)})_d[1-4])"
VIDEO = re.compile(NAME + r"(?:_uncomp)?(?:\.\w+)?")
LINE = re.compile(NAME + r"\s+frames\s+([\d\s,-]+)")
ABSENT = re.compile(NAME + r"\s+\*missing\*")
# In the published boxing.zip this file is cut off: 305 of 370 frames decode.
CUT_OFF = "person01_boxing_d4"


class People(NamedTuple):
    """A split: numbers of the people, and whether its authors used the sub-sequences of 00sequences.txt."""

    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]
    sequences: bool


SPLITS = {
    "svg": People(range(1, 21), (), range(21, 26), True),
    "srvp": People(range(1, 21), (), range(21, 26), False),
    "savp": People(range(1, 17), (), range(17, 26), True),
    "openstl": People(range(1, 17), (), range(17, 26), True),
    "icpr": People(range(11, 19), (19, 20, 21, 23, 24, 25, 1, 4), (22, 2, 3, *range(5, 11)), True),
}

PUBLISHED = Published(
    title="KTH",
    folder="kth",
    origin="https://www.csc.kth.se/cvap/actions/: six zips, each unpacked into a folder of its action's name, and "
    "00sequences.txt",
    tree=(
        "00sequences.txt",
        "boxing/person01_boxing_d1_uncomp.avi",
        "{boxing,handclapping,handwaving,jogging,running,walking}/person{01..25}_{action}_d{1..4}_uncomp.avi",
        "(599 files: person13_handclapping_d3 does not exist)",
    ),
)


class Kth(PublishedVideos):
    """KTH in the layout of its zips. Attributes: `category` (action, sorted), `subject` (1..25), `scenario` (1..4).

    A video shows a person several times; 00sequences.txt names these sub-sequences, frames counted from 1, both ends
    inclusive, some overlapping. SVG read them from Lua files that are no longer to be had, and that were made from this
    list. A sub-sequence shorter than a clip is dropped, as SVG does.

    Of `person01_boxing_d4`, which the published zip holds cut off, the last sub-sequence is dropped, and 305 frames are
    used where whole videos are read; a complete file is read whole.

    What is not reproduced: SVG draws class, video, sub-sequence and start uniformly, SRVP tests on a file of 1,000
    clips drawn once with seed 42, OpenSTL cuts its clips at fixed steps (3 frames for jogging and running, else one
    clip's length); here every video comes once an epoch with a random start. That OpenSTL reads sub-sequences is
    concluded from its check for gaps in frame numbers.

    Args:
        split: whose people train and test: `svg` and `srvp` 1-20 / 21-25, `savp` and `openstl` 1-16 / 17-25, `icpr`
            11-18, validation 19 20 21 23 24 25 1 4, test 22 2 3 5-10. SVG only declares its rule: its lost files
            decided.
        sequences: read the sub-sequences (true) or whole videos (false); None as the split's authors, who read whole
            videos for `srvp` alone.
        channels: 1, as all published methods use it, or 3.
    """

    published = PUBLISHED
    categories = ACTIONS
    expected = 599  # 25 x 6 x 4, but person13_handclapping_d3 does not exist

    def __init__(
        self,
        split: Literal["svg", "srvp", "savp", "openstl", "icpr"] = "svg",
        sequences: bool | None = None,
        channels: int = 1,
        **common: Any,
    ) -> None:
        super().__init__(channels=channels, **common)
        if split not in SPLITS:
            raise BenchError(f"data.init_args.split of KTH is one of {', '.join(SPLITS)}, found {split!r}")
        self.split, self.people = split, SPLITS[split]
        self.sequences = self.people.sequences if sequences is None else sequences
        if self.sequences:
            self.min_frames = max(self.min_frames, self.frames)
        self.reader = KthReader(self.height, self.width, channels, self.fit, self.fps)

    def list_videos(self, root: Path) -> list[Video]:
        """One video a sub-sequence or file; a file that the list names is expected, so its absence is an error."""
        files = _files(root)
        for action in ACTIONS:
            if not any(f"_{action}_" in key for key in files):
                raise self.published.differs(root, f"{action}/person01_{action}_d1_uncomp.avi")
        parts: dict[str, list[tuple[int, int]]] | dict[str, list[tuple[int, None]]]
        if self.sequences:
            if not (root / SEQUENCES).is_file():
                raise self.published.differs(root, SEQUENCES)
            parts = read_sequences(root / SEQUENCES)
        else:
            parts = {key: [(0, None)] for key in files}
        videos = []
        for key in sorted(parts):
            action = key.split("_")[1]
            path = files.get(key) or root / action / f"{key}_uncomp.avi"
            for start, end in parts[key]:
                videos.append(self._video(path, key, start, end))
        return videos

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.split: {self.split} and {super().split_rule()}"

    def _video(self, path: Path, key: str, start: int, end: int | None) -> Video:
        person, action, scenario = key.split("_")
        subject = int(person[-2:])
        attributes = {"category": ACTIONS.index(action), "subject": subject, "scenario": int(scenario[1:])}
        segment = "" if end is None else f"[{start}:{end}]"
        chosen: list[Split] = [s for s in ("train", "val", "test") if subject in getattr(self.people, s)]
        return Video(Source(path, f"{action}/{key}{segment}", attributes, start, end), key, chosen[0])


class KthReader(VideoReader):
    """Knows the file that is published cut off."""

    def open(self, path: Path, start: int = 0, end: int | None = None) -> Reading:
        """As `VideoReader.open`."""
        known = VIDEO.fullmatch(path.name)
        return _CutOff(self, path, start, end) if known and known[1] == CUT_OFF else super().open(path, start, end)


class _CutOff(Reading):
    def __init__(self, reader: VideoReader, path: Path, start: int, end: int | None) -> None:
        super().__init__(reader, path, start, end)
        self._whole = end is None

    def __iter__(self) -> Iterator[np.ndarray]:
        pieces = list(super().__iter__())
        if self.broken and not self._whole:
            raise DroppedFile(f"its file is published cut off: {self.broken}")
        if self.broken:
            self.warnings.append(f"published cut off: {self.broken}")
            self.broken = None
        yield from pieces


def read_sequences(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Sub-sequences of each video as (start, end), counted from 0, the end exclusive. Raises `BenchError`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        text = line.strip()
        if not text.startswith("person") or ABSENT.match(text):
            continue
        match = LINE.fullmatch(text)
        ranges = [part.split("-") for part in match[2].replace(" ", "").split(",") if part] if match else []
        bounds = [(int(r[0]) - 1, int(r[1])) for r in ranges if len(r) == 2 and all(r)]
        if not match or len(bounds) != len(ranges) or not all(0 <= start < end for start, end in bounds):
            raise BenchError(
                f"{path}, line {number}: found {text!r}, expected `person01_boxing_d1 frames 1-95, 96-185`, "
                "frames from 1 on, or `*missing*`"
            )
        found[match[1]] = bounds
    if not found:
        raise BenchError(
            f"{path} names no sub-sequence: expected lines such as `person01_boxing_d1 frames 1-95, 96-185`"
        )
    return found


def _files(root: Path) -> dict[str, Path]:
    """Videos by name, in the actions' folders or beside each other."""
    places = [root, *(root / action for action in ACTIONS if (root / action).is_dir())]
    found = [(VIDEO.fullmatch(name), place / name) for place in places for name in entries(place)]
    return {match[1]: path for match, path in found if match}
