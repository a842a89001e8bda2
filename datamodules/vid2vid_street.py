"""vid2vid's street layout: a label map, an instance map and a picture for every frame of a sequence."""

from typing import Any

from datamodules.frame_sets.maps import ColourMap, InstanceMap, LabelMap, Part
from datamodules.frame_sets.sequences import SequenceData
from datamodules.pictures import SUFFIXES


class Vid2VidStreet(SequenceData):
    """Videos with label maps, or with coloured conditions, for every frame.

    vid2vid's label maps of Cityscapes were predicted by networks, as were its instances. They were not published.

    Args:
        classes: labels are 0 to classes - 1; 0 for coloured conditions.
        unlisted: the class that other labels count as, such as 255 for ignored pixels; None makes them an error.
        instances: whether `_inst` is read.
        flip: mirrors training clips with probability 1/2.

    Other arguments are those of `FrameSetData`.
    """

    origin = "your own source, sorted into these folders"
    tree = (
        "{phase}_A/SEQUENCE/NAME.png     class of each pixel, 8 bits; a coloured picture with classes: 0",
        "{phase}_B/SEQUENCE/NAME.png     the frame",
        "{phase}_inst/SEQUENCE/NAME.png  number of each object, 16 bits (instances: true)",
        "{phase} is train or test; _leftImg8bit, _gtFine_labelIds and _gtFine_instanceIds are not part of NAME",
    )

    def __init__(
        self,
        dataset: str = "cityscapes_vid2vid",
        size: int | tuple[int, int] = (256, 512),
        frames: int = 6,
        classes: int = 35,
        unlisted: int | None = None,
        instances: bool = True,
        flip: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(dataset=dataset, size=size, frames=frames, **common)
        self.flip = flip
        self.kinds = {"picture": ("B", SUFFIXES), "label" if classes else "condition": ("A", SUFFIXES)}
        parts: list[Part] = [LabelMap(classes, unlisted) if classes else ColourMap()]
        if classes and instances:
            self.kinds["instance"] = ("inst", SUFFIXES)
            parts.append(InstanceMap())
        self.know(parts)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Labels and instances, or the condition."""
        if not init_args.get("classes", 35):
            return super().gives(**init_args) | {"condition"}
        more = {"instances"} if init_args.get("instances", True) else set()
        return super().gives(**init_args) | {"labels"} | more
