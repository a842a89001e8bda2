"""Methods that draw one person in one pose after a picture: trained on pairs, sampled pose by pose along a clip."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.skeletons import COCO_18
from datamodules.stream import StreamSpec
from lightning_modules.along_clip import AlongClipMethod
from lightning_modules.contract import ClipNoise
from lightning_modules.sizes import Size, check_frame_size


class Wanted(NamedTuple):
    """N pictures to draw: the frames of the clips, clip by clip.

    Attributes:
        source: N C H W in [-1, 1], who is drawn.
        source_pose: N J 3; all joints missing where the batch does not tell it.
        pose: N J 3, in which to draw.
    """

    source: Tensor
    source_pose: Tensor
    pose: Tensor


class PoseImageMethod(AlongClipMethod):
    """Base of pose-guided image generators.

    A training step draws single frames, whatever the length of the data's clips, each with its clip's source. Sampled
    clips are as long as the sequence of poses: each frame is drawn by itself from the same source.

    Attributes:
        size: height and width of the frames, or (height, width).
        images_at_once: so many frames are drawn in one call when clips are sampled.
    """

    size: Size
    channels = 3
    images_at_once: ClassVar[int] = 32

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """A source picture and its pose, clips and theirs."""
        return frozenset({"video", "source", "source_pose", "pose"})

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Single frames."""
        return {"clips": StreamSpec(frames=1)}

    def check_data(self, data: ClipData) -> None:
        """Refuses frames of another size, and poses of another skeleton.

        Raises:
            BenchError: names what was found.
        """
        check_frame_size(data, size=self.size, channels=self.channels)
        found = getattr(data, "skeleton", None)
        if found != COCO_18.name:
            raise BenchError(
                f"{type(self).__name__} reads the {len(COCO_18)} joints of {COCO_18.name}, but the poses of "
                f"{data.name} are of {found or 'no known skeleton'}"
            )

    def images(self, wanted: Wanted) -> Tensor:
        """N C H W in [-1, 1]."""
        raise NotImplementedError(f"{type(self).__name__}.images")

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """B C T H W: the batch's sources in each of its poses. Nothing is random."""
        parts = zip(*(part.split(self.images_at_once) for part in wanted_of(batch)), strict=True)
        drawn = torch.cat([self.images(Wanted(*part)) for part in parts]).float()
        return drawn.unflatten(0, (len(batch["source"]), -1)).transpose(1, 2).contiguous()  # B C T H W


def wanted_of(batch: VideoBatch) -> Wanted:
    """The frames of a batch's poses, each with its clip's source. `video` need not be there.

    Raises:
        BenchError: several persons, another number of joints, or sources and frames of different sizes.
    """
    source, pose = batch["source"], batch["pose"]
    persons, frames, joints = pose.shape[1:4]
    if persons != 1:
        raise BenchError(f"pose: {persons} persons in a clip, expected 1: pose-guided pictures show one")
    if joints != len(COCO_18):
        raise BenchError(f"pose: {joints} joints found, expected the {len(COCO_18)} of {COCO_18.name}")
    if "video" in batch and batch["video"].shape[-2:] != source.shape[-2:]:
        height, width = batch["video"].shape[-2:]
        found = f"{source.shape[-2]} x {source.shape[-1]}"
        raise BenchError(f"source: pictures of {found} pixels, expected {height} x {width} as the frames have")
    still = batch["source_pose"] if "source_pose" in batch else torch.zeros_like(pose[:, :, 0])
    return Wanted(
        source.repeat_interleave(frames, 0),
        still[:, 0].repeat_interleave(frames, 0),
        pose[:, 0].flatten(0, 1),
    )


def frames_of(clips: Tensor) -> Tensor:
    """B C T H W -> B*T C H W, clip by clip, as `wanted_of` orders them."""
    return clips.transpose(1, 2).flatten(0, 1)
