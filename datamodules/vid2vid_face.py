"""vid2vid's face layout: 68 landmarks for every frame of a talking person."""

from typing import Any

from datamodules.bad_files import OnError
from datamodules.frame_sets.keypoints import FaceSquare, Landmarks
from datamodules.frame_sets.reader import FrameReader
from datamodules.frame_sets.sequences import SequenceData
from datamodules.layout import Layout
from datamodules.pictures import SUFFIXES

TREE = (
    "{phase}_img/SEQUENCE/NAME.jpg         the frame",
    "{phase}_keypoints/SEQUENCE/NAME.txt   68 lines `x,y`: dlib's landmarks",
    "{phase} is train or test",
)


class Vid2VidFace(SequenceData):
    """Faces with `pose`: 68 landmarks as the rows of face_70, whose pupils are missing.

    A square around the face of a video's first frame is shown. The official code takes the first frame of each training
    clip, and in a test the first of the whole run; a face that moves out of the square is lost in either.

    The detector writes no file where it finds no face: such frames are named, or with `on_error: skip` left out.

    Args:
        dataset: name of the set, and of its folder below `REELBENCH_DATA`.
        root: the set's folder, where it lies elsewhere.
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        num_workers: loader processes.
        square: side of what is shown, in widths of the face; None shows the whole picture.
        flip: mirrors training clips with probability 1/2.
        train, val, test: the phases' names. The official sets have no validation phase.
        on_error: `raise` names the frames without all their files; `skip` leaves out up to 5 % of them.
    """

    skeleton = "face_70"

    def __init__(
        self,
        dataset: str = "face_vid2vid",
        root: str | None = None,
        size: int | tuple[int, int] = 512,
        frames: int = 12,
        stride: int = 1,
        batch_size: int = 1,
        num_workers: int = 0,
        square: float | None = 2.5,
        flip: bool = False,
        train: str = "train",
        val: str = "val",
        test: str = "test",
        on_error: OnError = "raise",
    ) -> None:
        layout = Layout(
            dataset, dataset, "FaceForensics (non-commercial), or videos of your own, with dlib's landmarks", TREE
        )
        phases = (train, val, test)
        super().__init__(layout, root, phases, size, frames, stride, batch_size, num_workers, "squash", on_error)
        self.flip = flip
        self.kinds = {"picture": ("img", SUFFIXES), "keypoints": ("keypoints", (".txt",))}
        framing = None if square is None else FaceSquare(square)
        self.reader = FrameReader(self.height, self.width, [Landmarks()], framing=framing)
        self.resize = "area" if square is None else f"area face square {square:g}"
        self.tracks = frozenset(self.reader.tracks)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with landmarks."""
        return super().gives(**init_args) | {"pose"}
