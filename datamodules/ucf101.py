"""UCF-101 (Soomro, Zamir, Shah, 2012): 13,320 videos of 101 actions, 320x240, with its three splits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Split, Video, entries, folders
from datamodules.reading.scaling import Fit

VIDEOS, LISTS = "UCF-101", "ucfTrainTestlist"
FILE = re.compile(r"v_\w+_g(\d+)_c(\d+)\.avi", re.IGNORECASE)

PUBLISHED = Published(
    title="UCF-101",
    folder="ucf101",
    origin="https://www.crcv.ucf.edu/data/UCF101.php: UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip, both "
    "unpacked here",
    tree=(
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi (101 folders, 13,320 files)",
        "ucfTrainTestlist/classInd.txt, with lines such as `1 ApplyEyeMakeup`",
        "ucfTrainTestlist/trainlist01.txt, with lines `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`",
        "ucfTrainTestlist/testlist01.txt, the same without the number; 02 and 03 likewise",
    ),
)


class Ucf101(PublishedVideos):
    """UCF-101. Attributes: `category` (classInd.txt, from 0), `group` (1..25), `clip`.

    A group's videos were cut from the same recording, so validation videos are drawn by group from the training list.
    A class is known by its folder: files of HandstandPushups are called v_HandStandPushups.

    TGAN scales to 85x64 and takes the middle 64 columns: `fit: crop`, except that it averages here where TGAN takes
    Pillow's default. Its code trains on the first split's 9,537 videos, its paper tells of 13,320; MoCoGAN's paper of
    13,220. Some videos have 29.97 frames a second instead of 25; all frames are read unless `fps` is set.

    Args:
        fold: which of the three splits.
        fit: `crop` as TGAN; see `PublishedVideos`.
    """

    published = PUBLISHED
    expected = 13320

    def __init__(self, fold: Literal[1, 2, 3] = 1, fit: Fit = "crop", **common: Any) -> None:
        super().__init__(fit=fit, **common)
        if fold not in (1, 2, 3):
            raise BenchError(f"data.init_args.fold of UCF-101 is 1, 2 or 3, found {fold}")
        self.fold = fold

    def list_videos(self, root: Path) -> list[Video]:
        """Every video that the fold's lists name; one that is not there is an error when it is read."""
        lists = root / LISTS
        needed: dict[Split, Path] = {s: lists / f"{s}list{self.fold:02}.txt" for s in ("train", "test")}
        for path in (lists / "classInd.txt", *needed.values()):
            if not path.is_file():
                raise self.published.differs(root, f"{LISTS}/{path.name}")
        classes = _read_classes(lists / "classInd.txt")
        self.categories = list(classes)
        present = _present(root / VIDEOS)
        if not present:
            raise self.published.differs(root, f"{VIDEOS}/{self.categories[0]}")
        videos: dict[str, Video] = {}
        for split, path in needed.items():
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                if line.strip():
                    video = _video(line, split, classes, root, present, f"{path}, line {number}")
                    name = video.source.name
                    if name in videos:
                        raise BenchError(f"{path}, line {number}: {name} is listed twice in fold {self.fold}")
                    videos[name] = video
        return list(videos.values())

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.fold: {self.fold} and {super().split_rule()}"


def _read_classes(path: Path) -> dict[str, int]:
    """Classes in the order of their numbers, from 0."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    good = all(len(row) == 2 and row[0].isdecimal() for row in rows)
    if not rows or not good or [int(row[0]) for row in rows] != list(range(1, len(rows) + 1)):
        raise BenchError(f"{path}: expected lines `1 ApplyEyeMakeup`, numbered from 1 without gaps")
    return {name: int(number) - 1 for number, name in rows}


def _present(base: Path) -> Mapping[str, Path]:
    """Files by class and name in small letters: copies of the set mend the spelling of HandStandPushups."""
    return {f"{c}/{f}".lower(): base / c / f for c in folders(base) for f in entries(base / c)}


def _video(
    line: str, split: Split, classes: Mapping[str, int], root: Path, present: Mapping[str, Path], where: str
) -> Video:
    name, *label = line.split()
    folder, _, file = name.partition("/")
    match = FILE.fullmatch(file)
    if folder not in classes or match is None or len(label) > 1:
        raise BenchError(
            f"{where}: found {line!r}, expected a class of classInd.txt and a file, such as "
            "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi, and in training lists its number"
        )
    if label and label[0] != str(classes[folder] + 1):
        raise BenchError(
            f"{where}: {name} has number {label[0]}, but classInd.txt gives {folder} {classes[folder] + 1}"
        )
    group = int(match[1])
    attributes = {"category": classes[folder], "group": group, "clip": int(match[2])}
    path = present.get(name.lower(), root / VIDEOS / name)
    return Video(Source(path, name, attributes), f"{folder}/g{group:02}", split)
