"""vid2vid's face layout: 68 landmarks for every frame of a talking person."""

from typing import Any

from datamodules.frame_sets.keypoints import FaceSquare, Landmarks
from datamodules.frame_sets.sequences import SequenceData
from datamodules.pictures import SUFFIXES


class Vid2VidFace(SequenceData):
    """Faces with `pose`: 68 landmarks as the rows of face_70, whose pupils are missing.

    A square around the face of a video's first frame is shown. The official code takes the first frame of each training
    clip, and in a test the first of the whole run; a face that moves out of the square is lost in either.

    The detector writes no file where it finds no face: such frames are named, or with `on_error: skip` left out.

    Args:
        square: side of what is shown, in widths of the face; None shows the whole picture.
        flip: mirrors training clips with probability 1/2.

    Other arguments are those of `FrameSetData`.
    """

    skeleton = "face_70"
    origin = "FaceForensics (non-commercial), or videos of your own, with dlib's landmarks"
    tree = (
        "{phase}_img/SEQUENCE/NAME.jpg         the frame",
        "{phase}_keypoints/SEQUENCE/NAME.txt   68 lines `x,y`: dlib's landmarks",
        "{phase} is train or test",
    )

    def __init__(
        self,
        dataset: str = "face_vid2vid",
        size: int | tuple[int, int] = 512,
        frames: int = 12,
        square: float | None = 2.5,
        flip: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(dataset=dataset, size=size, frames=frames, **common)
        self.flip = flip
        self.kinds = {"picture": ("img", SUFFIXES), "keypoints": ("keypoints", (".txt",))}
        self.know([Landmarks()], None if square is None else FaceSquare(square))
        self.resize += "" if square is None else f" face square {square:g}"

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with landmarks."""
        return super().gives(**init_args) | {"pose"}
