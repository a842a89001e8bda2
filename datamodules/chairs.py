"""Rendered chairs (Aubry et al., Seeing 3D Chairs, CVPR 2014): 1,393 models seen from 31 directions and two heights."""

import re
from itertools import groupby
from pathlib import Path
from typing import Any

from datamodules.bad_files import judge
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Split, Video, folders, some
from datamodules.reading.frame_folder import picture_names
from datamodules.reading.scaling import Fit

VIEWS = 31  # directions all around, 360 / 31 degrees apart
PICTURE = re.compile(r"image_\d+_p(\d+)_t(\d+)_r\d+\.png")  # p: degrees from above, t: direction in degrees

PUBLISHED = Published(
    title="Chairs",
    folder="rendered_chairs",
    origin="https://www.di.ens.fr/willow/research/seeing3Dchairs/: rendered_chairs.tar",
    tree=(
        "{32 hexadecimal digits}/renders/image_000_p020_t000_r096.png",
        "(1,393 folders of 62 pictures: 31 directions seen from 20 and from 30 degrees above)",
    ),
)


class Chairs(PublishedVideos):
    """A video is one model turning once around. Attributes: `subject` (its place in the order), `elevation` (degrees).

    The layout is recalled, and agrees with what loaders of others show of it: the real set was not at hand. Pictures
    are 600x600 on white; which direction comes first may differ between the two heights. The rotator's protocol (Yang
    et al., 2015) of 500 training and 309 test models uses a list of 809 models that is not part of the set: give it as
    `models`. Which chairs and which clips VideoVAE used is not known.

    Args:
        models: a text file in the set's folder with one model a line, which decides which are used and in what order;
            None takes all, sorted.
        train: so many models, from the first on, are for training; the others are the test split.
        fit: see `PublishedVideos`.
    """

    published = PUBLISHED

    def __init__(self, models: str | None = None, train: int = 500, fit: Fit = "crop", **common: Any) -> None:
        super().__init__(fit=fit, **common)
        if train < 1:
            raise BenchError(f"data.init_args.train must be at least 1, found {train}")
        self.models, self.train = models, train
        self.expected = None if models else 1393

    def list_videos(self, root: Path) -> list[Video]:
        """Two videos a model; a model that misses pictures counts as a file that cannot be used."""
        inner = root / "rendered_chairs"
        base = inner if inner.is_dir() else root
        present = [name for name in folders(base) if (base / name / "renders").is_dir()]
        if not present:
            raise self.published.differs(base, "{model}/renders")
        videos: list[Video] = []
        bad = []
        models = self._order(root, present)
        for place, model in enumerate(models):
            split: Split = "train" if place < self.train else "test"
            runs, wrong = _runs(base / model / "renders")
            bad += [(f"{model}/{name}", reason) for name, reason in wrong]
            for elevation, start in runs:
                attributes = {"subject": place, "elevation": elevation}
                name = f"{model}/p{elevation:03}"
                source = Source(base / model / "renders", name, attributes, start, start + VIEWS)
                videos.append(Video(source, model, split))
        judge(self.published.title, len(videos) + len(bad), bad, self.on_error)
        return videos

    def split_rule(self) -> str:
        """For messages."""
        return f"data.init_args.train={self.train} and {super().split_rule()}"

    def _order(self, root: Path, present: list[str]) -> list[str]:
        if self.models is None:
            return present
        path = root / self.models
        if not path.is_file():
            raise self.published.differs(root, f"{self.models}, which data.init_args.models names,")
        listed = path.read_text().split()
        absent = sorted(set(listed) - set(present))
        if absent or not listed:
            raise BenchError(f"{path}: expected folders of {root}, one a line; not there: {some(absent)}")
        return list(dict.fromkeys(listed))


def _runs(folder: Path) -> tuple[list[tuple[int, int]], list[tuple[str, str]]]:
    """(elevation, number of its first picture) of each whole turn; (name, reason) of what is none."""
    names = picture_names(folder)
    views = [PICTURE.fullmatch(name) for name in names]
    strange = [name for name, view in zip(names, views, strict=True) if view is None]
    if strange or not names:
        return [], [("renders", f"expected pictures such as image_000_p020_t000_r096.png, found {some(strange)}")]
    runs, wrong, start = [], [], 0
    for elevation, members in groupby(int(view[1]) for view in views if view):
        count = len(list(members))
        if count == VIEWS:
            runs.append((elevation, start))
        else:
            wrong.append((f"p{elevation:03}", f"{count} pictures in a row, expected {VIEWS}"))
        start += count
    return runs, wrong
