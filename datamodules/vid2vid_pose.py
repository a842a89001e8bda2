"""vid2vid's pose layout: DensePose pictures and OpenPose key-points for every frame of a dancer."""

from typing import Any

import numpy as np

from datamodules.bad_files import BadFile
from datamodules.errors import BenchError
from datamodules.flip import each_stream
from datamodules.frame_sets.keypoints import Bodies, placed, read_people
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import Part, read_rgb
from datamodules.frame_sets.sequences import SequenceData
from datamodules.frame_sets.view import View
from datamodules.pictures import SUFFIXES
from datamodules.pose.stick_vid2vid import draw
from datamodules.reading.scaling import Fit
from datamodules.tracks import Track
from datamodules.zoom import drawn_zoom, zoomed

LARGEST = 4  # times that clips are enlarged at most
BODY_PARTS = 24  # of DensePose; 0 is background


class Vid2VidPose(SequenceData):
    """Dancing people with `pose` and a `condition` of three channels for each kind: DensePose, then stick figures.

    DensePose's part numbers are spread over 0..255 (times 255 / 24, rounded down); `mask` is where there is a part.
    Stick figures are drawn in the frame's own pixels, all persons of a file; `pose` has the most confident ones.

    The official code keeps the columns that lie at most a quarter of the width, cut to a multiple of 32, from the
    middle: `fit: crop` with a `size` of that width, as 256 x 192 for pictures of 16:9. It zooms before it
    cuts, from the full picture; here the frame of the cache is enlarged. Its dropping of limbs is not offered.

    Args:
        openpose, densepose: which kinds are read, at least one.
        persons: P of `pose`.
        zoom: training clips are enlarged by up to this, at random; 1.5 in the official code, 1 for none.

    Other arguments are those of `FrameSetData`.
    """

    skeleton = "body_25"
    origin = "videos of your own, with the dancers' consent"
    tree = (
        "{phase}_img/SEQUENCE/NAME.jpg              the frame",
        "{phase}_openpose/SEQUENCE/NAME_keypoints.json   BODY_25, face and hands (openpose: true)",
        "{phase}_densepose/SEQUENCE/NAME_IUV.png    part in the blue channel, 0 to 24, then V and U (densepose: true)",
        "{phase} is train or test",
    )

    def __init__(
        self,
        dataset: str = "dance_vid2vid",
        size: int | tuple[int, int] = (256, 192),
        frames: int = 12,
        openpose: bool = True,
        densepose: bool = True,
        persons: int = 1,
        zoom: float = 1.0,
        fit: Fit = "crop",
        **common: Any,
    ) -> None:
        if not (openpose or densepose):
            raise BenchError("data.init_args.openpose and densepose are both false: there is nothing to draw from")
        if not 1 <= zoom <= LARGEST:
            raise BenchError(f"data.init_args.zoom must lie in 1..{LARGEST}, found {zoom}")
        self.zoom = zoom
        super().__init__(dataset=dataset, size=size, frames=frames, fit=fit, **common)
        self.kinds = {"picture": ("img", SUFFIXES)}
        parts: list[Part] = [PoseCondition(openpose, densepose)]
        if openpose:
            self.kinds["keypoints"] = ("openpose", (".json",))
            parts.append(Bodies(self.skeleton, persons))
        if densepose:
            self.kinds["densepose"] = ("densepose", SUFFIXES)
            parts.append(PersonMask())
        self.know(parts)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """The condition; poses and masks of what is read."""
        pose = {"pose"} if init_args.get("openpose", True) else set()
        mask = {"mask"} if init_args.get("densepose", True) else set()
        return super().gives(**init_args) | {"condition"} | pose | mask

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Enlarges training clips on the device, before frames become floats."""
        if self.zoom > 1:
            batch = each_stream(batch, lambda clips: zoomed(clips, *drawn_zoom(clips, self.zoom)))
        return super().on_after_batch_transfer(batch, dataloader_idx)


class PoseCondition:
    """`condition`: DensePose's picture and the drawn key-points, three channels each."""

    key = "condition"

    def __init__(self, openpose: bool, densepose: bool) -> None:
        self.openpose, self.densepose = openpose, densepose
        self.policy = {"openpose": openpose, "densepose": densepose}

    def track(self, height: int, width: int) -> Track:
        """Uint8 3 or 6 H W."""
        return Track("uint8", (3 * (self.openpose + self.densepose), height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        layers = []
        if self.densepose:
            iuv = _densepose(source, frame, view)
            iuv[..., 2] = iuv[..., 2].astype(np.int64) * 255 // BODY_PARTS
            layers.append(iuv)
        if self.openpose:
            people = placed(read_people(source.frames[frame]["keypoints"]), view)
            layers.append(draw(people, view.height, view.width)[0])
        return np.concatenate(layers, -1).transpose(2, 0, 1)


class PersonMask:
    """`mask`: 255 where DensePose sees a part of a body."""

    key = "mask"
    policy = "densepose"

    def track(self, height: int, width: int) -> Track:
        """Uint8 H W."""
        return Track("uint8", (height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        return np.where(_densepose(source, frame, view)[..., 2] > 0, np.uint8(255), np.uint8(0))


def _densepose(source: FrameSource, frame: int, view: View) -> np.ndarray:
    """uint8 H W 3 as V, U, part; to the nearest, since parts and coordinates on them cannot be averaged."""
    path = source.frames[frame]["densepose"]
    iuv = read_rgb(path)
    if (highest := int(iuv[..., 2].max())) > BODY_PARTS:
        raise BadFile(
            f"{path}: part {highest} in the blue channel, expected 0 to {BODY_PARTS}; was it scaled already, or "
            "saved as RGB?"
        )
    return view.nearest(iuv, str(path))
