"""DeepFashion In-shop (Liu et al., CVPR 2016) with the pose annotation of pose-gan and PATN: garments, 256 x 256."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from datamodules.errors import BenchError
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.view import Box
from datamodules.layout import Layout
from datamodules.pair_data import PairData
from datamodules.pose.pairs import fashion_identity

SUFFIXES = (".jpg", ".png")
PREFIX = re.compile(r"^fash?ion")  # pose-gan writes fasion, PATN fashion
PATN_COLUMNS = (40, 216)  # of 256: what PATN keeps

LAYOUT = Layout(
    title="DeepFashion In-shop",
    folder="deepfashion",
    origin="the In-shop Clothes Retrieval Benchmark of the authors (agreement, non-commercial), and the annotation and "
    "pair files from the data that come with pose-gan (AliaksandrSiarohin) or PATN's test bundle",
    tree=(
        "img/{MEN,WOMEN}/CATEGORY/id_00000080/01_1_front.jpg   256 x 256, as in the archive (or Img/img/...), or",
        "train/ and test/ with fashionWOMENTees_Tanksid0000508545_1front.jpg   as pose-gan and PATN rename them",
        "fasion-annotation-train.csv, fasion-annotation-test.csv   name:keypoints_y:keypoints_x, in 256 x 256 pixels",
        "fashion-pairs-test.csv    from,to (test_pairs: file); fasion-pairs-test.csv is read as well",
        "fashion-pairs-train.csv   from,to (train_pairs: file)",
        "fasion-resize-annotation-*.csv do not serve: in them x was moved by 40 pixels, so x = 39 reads as missing",
    ),
)


class DeepFashion(PairData):
    """Pairs of pictures of one garment in one colour. Attribute: `identity`.

    Pictures are found by their names without underscores and prefix: one picture is
    `WOMEN/Tees_Tanks/id_00005085/45_1_front.jpg` in the archive, `fashionWOMENTees_Tanksid0000508545_1front.jpg` in the
    annotation, and `fasionWOMENTeesTanksid0000508545_1front.jpg` after pose-gan's own split script.

    Two splits are published. That of the camera-ready paper and PATN has 101,966 training and 8,570 test pairs; the
    older one (101,268 and 8,670) was drawn at random and its lists are lost.

    Args:
        crop: `patn` keeps the columns 40 to 215, for a `size` of 256 x 176; joints outside are missing. Deformable GAN
            uses the whole pictures.

    Other arguments are those of `PairData`.
    """

    layout = LAYOUT
    annotation_files = {
        part: (f"fasion-annotation-{part}.csv", f"fashion-annotation-{part}.csv") for part in ("train", "test")
    }
    pair_files = {part: (f"fashion-pairs-{part}.csv", f"fasion-pairs-{part}.csv") for part in ("train", "test")}

    def __init__(self, batch_size: int = 2, crop: Literal["none", "patn"] = "none", **common: Any) -> None:
        super().__init__(batch_size=batch_size, **common)
        if crop == "patn":
            self.framing, self.resize = Columns(*PATN_COLUMNS), "area patn"

    def key(self, name: str) -> str:
        """The name without path, suffix, underscores and prefix."""
        return PREFIX.sub("", Path(name).stem.replace("_", ""))

    def identity(self, name: str) -> str:
        """Garment and colour."""
        return fashion_identity(name)

    def pictures(self, root: Path, part: str) -> Mapping[str, Path]:
        """The archive's pictures, or the renamed ones of `train` or `test`."""
        folder = self.layout.require(root, "img", "Img/img", part)
        found: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            key = self.key("".join(path.relative_to(folder).parts))
            if key in found:
                raise BenchError(f"DeepFashion: {found[key]} and {path} are one picture; keep one of them")
            found[key] = path
        if not found:
            raise self.layout.differs(folder, "every picture")
        return found


class Columns:
    """Keeps some columns of the pictures.

    Args:
        left, right: the first that is kept, and the first that is not.
    """

    def __init__(self, left: int, right: int) -> None:
        self.left, self.right = left, right
        self.policy = {"columns": [left, right]}

    def box(self, source: FrameSource, size: tuple[int, int]) -> Box:
        """See `reader.Framing`."""
        return Box(0, size[0], self.left, self.right)
