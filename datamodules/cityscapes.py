"""Cityscapes (Cordts et al., CVPR 2016) as it is distributed: snippets of 30 frames, one of which is annotated."""

import re
from pathlib import Path
from typing import Any

from datamodules.bad_files import log
from datamodules.errors import BenchError
from datamodules.frame_sets.data import FrameSetData
from datamodules.frame_sets.listing import Frame, FrameSource, Role, runs, videos_of
from datamodules.frame_sets.maps import InstanceMap, LabelMap
from datamodules.published import folders, some

SNIPPET = 30  # frames; the 20th is annotated
CLASSES = 35  # of labelIds: 0 to 33, and one that pix2pixHD leaves free
NAME = re.compile(r".+_\d{6}_\d{6}")  # city, sequence, frame
PICTURE, LABEL, INSTANCE = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_instanceIds.png"


class Cityscapes(FrameSetData):
    """Street scenes: sequences of pictures, or single annotated frames with `labels` and `instances`.

    A sequence is a run of consecutive frame numbers: in some cities all snippets bear one sequence number, so it does
    not part them. Only one frame of a snippet is annotated; videos with label maps for every frame, predicted by a
    network, are read in vid2vid's layout by `datamodules.vid2vid_street.Vid2VidStreet`.

    Annotated pictures are taken from `leftImg8bit`, or where that is absent from the sequences. The test split's
    annotation is withheld (its files are blank), so it cannot be read as annotated.

    Args:
        frames: 1 for annotated frames.
        annotated: single frames with labels and instances instead of sequences.
        classes: labels are 0 to classes - 1.
        flip: mirrors training clips with probability 1/2.
        test: the papers report on `val`.

    Other arguments are those of `FrameSetData`.
    """

    title = "Cityscapes"
    origin = (
        "https://www.cityscapes-dataset.com (registration, non-commercial): leftImg8bit_sequence_trainvaltest.zip for "
        "sequences; leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip for annotated frames"
    )
    tree = (
        "leftImg8bit_sequence/{train,val,test}/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png",
        "leftImg8bit/{train,val,test}/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png   (annotated: true)",
        "gtFine/{train,val}/CITY/CITY_SSSSSS_FFFFFF_gtFine_labelIds.png         (annotated: true)",
        "gtFine/{train,val}/CITY/CITY_SSSSSS_FFFFFF_gtFine_instanceIds.png      (annotated: true)",
    )

    def __init__(
        self,
        dataset: str = "cityscapes",
        size: int | tuple[int, int] = (256, 512),
        frames: int = SNIPPET,
        annotated: bool = False,
        classes: int = CLASSES,
        flip: bool = False,
        test: str = "val",
        **common: Any,
    ) -> None:
        if annotated and frames != 1:
            raise BenchError(
                f"data.init_args.frames must be 1 with annotated: true, found {frames}: one frame of each snippet is "
                "annotated"
            )
        super().__init__(dataset=dataset, size=size, frames=frames, test=test, **common)
        self.annotated, self.flip = annotated, flip
        self.know([LabelMap(classes), InstanceMap(deep=True)] if annotated else [])

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips; labels and instances of annotated frames."""
        known = {"labels", "instances"} if init_args.get("annotated") else set()
        return super().gives(**init_args) | known

    def list_phase(self, root: Path, phase: str) -> list[FrameSource]:
        """Snippets, or annotated frames."""
        if not self.annotated:
            return self._snippets(self.layout.require(root, f"leftImg8bit_sequence/{phase}"))
        if phase == "test":
            raise BenchError("Cityscapes: the annotation of folder test is withheld; use val as data.init_args.test")
        annotation = self.layout.require(root, f"gtFine/{phase}")
        pictures = self.layout.require(root, f"leftImg8bit/{phase}", f"leftImg8bit_sequence/{phase}")
        more = () if pictures.parent.name == "leftImg8bit" else ("picture",)
        groups = {
            f"{phase}/{city}": {
                "label": Role(annotation / city, (LABEL,)),
                "instance": Role(annotation / city, (INSTANCE,)),
                "picture": Role(self.layout.require(pictures, city), (PICTURE,)),
            }
            for city in folders(annotation)
        }
        frames = [frame for found in self.paired(phase, groups, more) for frame in found.frames]
        return [video for frame in frames for video in videos_of(f"{phase}/{frame[0]}", [[frame]])]

    def _snippets(self, folder: Path) -> list[FrameSource]:
        groups = {f"{folder.name}/{c}": {"picture": Role(folder / c, (PICTURE,))} for c in folders(folder)}
        sequences: dict[str, list[Frame]] = {}
        for stem, files in [frame for found in self.paired(folder.name, groups) for frame in found.frames]:
            if not NAME.fullmatch(stem):
                raise self.layout.differs(files["picture"].parent, f"sequence and frame in the name {stem}{PICTURE}")
            sequences.setdefault(f"{folder.name}/{stem.rpartition('_')[0]}", []).append((stem, files))
        videos = [video for name in sequences for video in videos_of(name, runs(sequences[name], step=1))]
        odd = [f"{video.name} ({len(video)})" for video in videos if len(video) != SNIPPET]
        if odd:
            log.info("Cityscapes: %d of %d runs are not %d frames long: %s", len(odd), len(videos), SNIPPET, some(odd))
        return videos
