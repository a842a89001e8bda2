"""vid2vid's face layout: 68 landmarks for every frame of a talking person."""

from typing import Any

from datamodules.frame_sets.face_edges import FaceEdges
from datamodules.frame_sets.keypoints import FaceSquare, Landmarks
from datamodules.frame_sets.maps import Part
from datamodules.frame_sets.sequences import SequenceData
from datamodules.pictures import SUFFIXES


class Vid2VidFace(SequenceData):
    """Faces with `pose`: 68 landmarks as the rows of face_70, whose pupils are missing.

    A square around the face of a video's first frame is shown. The official code takes the first frame of each training
    clip, and in a test the first of the whole run; a face that moves out of the square is lost in either.

    The detector writes no file where it finds no face: such frames are named, or with `on_error: skip` left out.

    Args:
        edges: whether there is a `condition` of 15 channels, the input of vid2vid: a map of the face's curves and the
            background's edges, then the distance to each curve; see `pose.face_map`. It takes 15 bytes a pixel of the
            cache, five times what a frame takes.
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
        edges: bool = True,
        square: float | None = 2.5,
        flip: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(dataset=dataset, size=size, frames=frames, **common)
        self.flip = flip
        self.kinds = {"picture": ("img", SUFFIXES), "keypoints": ("keypoints", (".txt",))}
        parts: list[Part] = [Landmarks(), FaceEdges()] if edges else [Landmarks()]
        self.know(parts, None if square is None else FaceSquare(square))
        self.resize += "" if square is None else f" face square {square:g}"

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with landmarks, and what is drawn of them."""
        return super().gives(**init_args) | {"pose"} | ({"condition"} if init_args.get("edges", True) else set())
