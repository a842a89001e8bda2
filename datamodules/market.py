"""Market-1501 (Zheng et al., ICCV 2015) with the pose annotation of pose-gan and PATN: pedestrians, 128 x 64."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.layout import Layout
from datamodules.pair_data import PairData
from datamodules.pose.pairs import market_identity
from datamodules.published import entries

# Person, camera, sequence, frame, box. In the published annotation 18 names of test pictures end in .jpg twice.
NAME = re.compile(r"((-1|\d{4})_c(\d)s\d_\d{6}_\d{2})(\.jpg){1,2}")
FOLDERS = {"train": ("bounding_box_train", "train"), "test": ("bounding_box_test", "test")}

LAYOUT = Layout(
    title="Market-1501",
    folder="market1501",
    origin="the authors' archive Market-1501-v15.09.15.zip, and the annotation and pair files from the data that come "
    "with pose-gan (AliaksandrSiarohin) or PATN (tengteng95/Pose-Transfer)",
    tree=(
        "bounding_box_train/0002_c1s1_000451_03.jpg   12,936 pictures; PATN calls this folder train",
        "bounding_box_test/0001_c1s1_001051_00.jpg    19,732 pictures; PATN calls this folder test",
        "market-annotation-train.csv, market-annotation-test.csv   name:keypoints_y:keypoints_x",
        "market-pairs-test.csv                        from,to (test_pairs: file)",
        "market-pairs-train.csv                       from,to (train_pairs: file)",
    ),
)


class Market(PairData):
    """Pairs of pictures of one person. Attributes: `identity`, `camera` and `source_camera`.

    Junk (`-1_`) and distractors (`0000_`) never are in a pair. PG2 counts 439,420 training pairs with poses of its own
    that were not published as such; its rule on pose-gan's annotation gives another number.

    Arguments are those of `PairData`.
    """

    layout = LAYOUT
    annotation_files = {part: (f"market-annotation-{part}.csv",) for part in ("train", "test")}
    pair_files = {part: (f"market-pairs-{part}.csv",) for part in ("train", "test")}

    def __init__(self, size: int | tuple[int, int] = (128, 64), **common: Any) -> None:
        super().__init__(size=size, **common)

    def key(self, name: str) -> str:
        """The name without its endings."""
        return name.partition(".")[0]

    def identity(self, name: str) -> str:
        """The person's number."""
        return market_identity(name)

    def attributes(self, name: str) -> Mapping[str, int]:
        """The camera, 1 to 6."""
        found = NAME.fullmatch(name)
        return {"camera": int(found[3]) if found else 0}

    def pictures(self, root: Path, part: str) -> Mapping[str, Path]:
        """The folder's pictures; other files, such as Thumbs.db, are passed over."""
        folder = self.layout.require(root, *FOLDERS[part])
        found = {self.key(name): folder / name for name in entries(folder) if NAME.fullmatch(name)}
        if not found:
            raise self.layout.differs(folder, "every picture named as 0002_c1s1_000451_03.jpg")
        return found
