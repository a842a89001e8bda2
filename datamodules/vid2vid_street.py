"""vid2vid's street layout: a label map, an instance map and a picture for every frame of a sequence."""

from typing import Any

from datamodules.bad_files import OnError
from datamodules.frame_sets.maps import ColourMap, InstanceMap, LabelMap, Part
from datamodules.frame_sets.reader import FrameReader
from datamodules.frame_sets.sequences import SequenceData
from datamodules.layout import Layout
from datamodules.pictures import SUFFIXES
from datamodules.reading.scaling import Fit

TREE = (
    "{phase}_A/SEQUENCE/NAME.png     class of each pixel, 8 bits; a coloured picture with classes: 0",
    "{phase}_B/SEQUENCE/NAME.png     the frame",
    "{phase}_inst/SEQUENCE/NAME.png  number of each object, 16 bits (instances: true)",
    "{phase} is train or test; _leftImg8bit, _gtFine_labelIds and _gtFine_instanceIds are not part of NAME",
)


class Vid2VidStreet(SequenceData):
    """Videos with label maps, or with coloured conditions, for every frame.

    vid2vid's label maps of Cityscapes were predicted by networks, as was its instances'. They were not published.

    Args:
        dataset: name of the set, and of its folder below `REELBENCH_DATA`.
        root: the set's folder, where it lies elsewhere.
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        num_workers: loader processes.
        classes: labels are 0 to classes - 1; 0 for coloured conditions.
        unlisted: the class that other labels count as, such as 255 for ignored pixels; None makes them an error.
        instances: whether `_inst` is read.
        flip: mirrors training clips with probability 1/2.
        fit: how pictures of another aspect fill the frame: `squash`, `crop` (the middle) or `pad` (black).
        train, val, test: the phases' names. The official sets have no validation phase.
        on_error: `raise` names the frames without all their files; `skip` leaves out up to 5 % of them.
    """

    def __init__(
        self,
        dataset: str = "cityscapes_vid2vid",
        root: str | None = None,
        size: int | tuple[int, int] = (256, 512),
        frames: int = 6,
        stride: int = 1,
        batch_size: int = 1,
        num_workers: int = 0,
        classes: int = 35,
        unlisted: int | None = None,
        instances: bool = True,
        flip: bool = False,
        fit: Fit = "squash",
        train: str = "train",
        val: str = "val",
        test: str = "test",
        on_error: OnError = "raise",
    ) -> None:
        layout = Layout(dataset, dataset, "your own source, sorted into these folders", TREE)
        phases = (train, val, test)
        super().__init__(layout, root, phases, size, frames, stride, batch_size, num_workers, fit, on_error)
        self.flip = flip
        self.kinds = {"picture": ("B", SUFFIXES), "label" if classes else "condition": ("A", SUFFIXES)}
        parts: list[Part] = [LabelMap(classes, unlisted) if classes else ColourMap()]
        if classes and instances:
            self.kinds["instance"] = ("inst", SUFFIXES)
            parts.append(InstanceMap())
        self.reader = FrameReader(self.height, self.width, parts, fit)
        self.tracks = frozenset(self.reader.tracks)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Labels and instances, or the condition."""
        if not init_args.get("classes", 35):
            return super().gives(**init_args) | {"condition"}
        more = {"instances"} if init_args.get("instances", True) else set()
        return super().gives(**init_args) | {"labels"} | more
