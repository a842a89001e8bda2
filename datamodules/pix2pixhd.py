"""The layout of pix2pixHD: a folder of pictures and folders of what they are made from, for each phase."""

from pathlib import Path
from typing import Any

from datamodules.frame_sets.data import FrameSetData
from datamodules.frame_sets.listing import FrameSource, Role, videos_of
from datamodules.frame_sets.maps import ColourMap, FeatureMap, InstanceMap, LabelMap, Part


class Pix2PixHD(FrameSetData):
    """Pictures with label maps, in the folders that pix2pixHD reads: clips of one frame.

    The official code pairs files by their sorted position; here names decide, and a file without its partners is an
    error. It resizes pictures bicubically; here each new pixel is the mean of what it covers.

    Its `resize_or_crop: scale_width` is `fit: squash` with a `size` of the pictures' aspect. Its random crops are not
    offered.

    Args:
        classes: labels are 0 to classes - 1; 0 for coloured conditions in `_A` with their pictures in `_B`.
        unlisted: the class that other labels count as, such as 255 for ignored pixels; None makes them an error.
        instances: whether `_inst` is read.
        features: whether `_feat` is read, as `condition`.
        flip: mirrors training clips with probability 1/2.

    Other arguments are those of `FrameSetData`.
    """

    origin = "your own source, or Cityscapes sorted into these folders"
    tree = (
        "{phase}_label/NAME.png   class of each pixel, 8 bits (classes > 0)",
        "{phase}_inst/NAME.png    number of each object, 16 bits (instances: true)",
        "{phase}_img/NAME.png     the picture",
        "{phase}_feat/NAME.png    features (features: true)",
        "or, with classes: 0,",
        "{phase}_A/NAME.png       coloured condition",
        "{phase}_B/NAME.png       the picture",
        "Files of a frame have one NAME; _leftImg8bit, _gtFine_labelIds and _gtFine_instanceIds are not part of it.",
    )

    def __init__(
        self,
        dataset: str = "cityscapes_pix2pixhd",
        size: int | tuple[int, int] = (512, 1024),
        classes: int = 35,
        unlisted: int | None = None,
        instances: bool = True,
        features: bool = False,
        flip: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(dataset=dataset, size=size, frames=1, stride=1, context=0, **common)
        self.flip, self.classes = flip, classes
        self.roles = {"picture": "img" if classes else "B", **({"label": "label"} if classes else {"condition": "A"})}
        parts: list[Part] = [LabelMap(classes, unlisted) if classes else ColourMap()]
        if classes and instances:
            self.roles["instance"] = "inst"
            parts.append(InstanceMap())
        if classes and features:
            self.roles["condition"] = "feat"
            parts.append(FeatureMap())
        self.know(parts)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Labels and what else was asked for, or the condition."""
        if not init_args.get("classes", 35):
            return super().gives(**init_args) | {"condition"}
        more = {"instances"} if init_args.get("instances", True) else set()
        return super().gives(**init_args) | {"labels"} | more | ({"condition"} if init_args.get("features") else set())

    def list_phase(self, root: Path, phase: str) -> list[FrameSource]:
        """A video of one frame for each name."""
        roles = {role: Role(self.layout.require(root, f"{phase}_{folder}")) for role, folder in self.roles.items()}
        (found,) = self.paired(phase, {phase: roles})
        return [video for frame in found.frames for video in videos_of(f"{phase}/{frame[0]}", [[frame]])]
