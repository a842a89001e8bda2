"""The embedded persons as a datamodule."""

from typing import Any

from datamodules.base import ClipData, Store
from datamodules.errors import BenchError
from datamodules.synthetic.puppet.identity import Texture
from datamodules.synthetic.puppet.scene import CameraMotion, IdentitySplit, MotionSplit
from datamodules.synthetic.puppet.store import PuppetStore, check


class Puppet(ClipData):
    """Textured persons moved by motion capture: no download, and everything about the frames is known exactly.

    Args:
        size: height and width of the frames, or (height, width): 64, (128, 64) as in Market-1501, 128, 256.
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes.
        video_frames: frames of each video.
        train_videos, val_videos, test_videos: videos of each split.
        identities: persons in train, val and test.
        identity_split: `disjoint`, or `shared`: all splits show the persons of train.
        motions: which of the 15 motions are shown, by name; `category` counts in this order. None means all.
        motion_split: what train, val and test share of the motions: `shared` (all), `phase` (60, 20 and 20 % of each
            motion, played forth and back), `held_out` (motions of their own: of 15, 11, 2 and 2).
        persons: 1 or 2 in each video.
        camera: `static` (persons walk on the spot), or `pan` (it follows the first person, and swings).
        skeleton: of the key-points, `openpose18` or `body25`.
        fps: frames a second.
        yaw: degrees, from and up to, that persons are turned; 0 faces the camera, 90 the image's right edge.
        backgrounds: different backgrounds in all splits together; None gives each video its own.
        texture: `cloth`, or `smooth` for measuring the flow by warping.
        seed: of the data, not of the run.
    """

    name = "puppet"

    def __init__(
        self,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        video_frames: int = 64,
        train_videos: int = 4000,
        val_videos: int = 256,
        test_videos: int = 256,
        identities: tuple[int, int, int] = (200, 32, 32),
        identity_split: IdentitySplit = "disjoint",
        motions: list[str] | None = None,
        motion_split: MotionSplit = "shared",
        persons: int = 1,
        camera: CameraMotion = "static",
        skeleton: str = "openpose18",
        fps: float = 12.5,
        yaw: tuple[int, int] = (0, 360),
        backgrounds: int | None = None,
        texture: Texture = "cloth",
        seed: int = 0,
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if video_frames < max(2, frames):
            raise BenchError(f"data.init_args.video_frames={video_frames} must be at least 2 and frames={frames}")
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        for split, videos in self.videos.items():
            if videos < 1:
                raise BenchError(f"data.init_args.{split}_videos must be at least 1, found {videos}")
        self.skeleton = skeleton
        self.drawn: dict[str, Any] = {
            "length": video_frames,
            "size": (self.height, self.width),
            "seed": seed,
            "persons": persons,
            "camera": camera,
            "skeleton": skeleton,
            "fps": fps,
            "identities": tuple(identities),
            "identity_split": identity_split,
            "motions": motions,
            "motion_split": motion_split,
            "yaw": tuple(yaw),
            "backgrounds": backgrounds,
            "texture": texture,
        }
        check({"split": "train", **self.drawn})

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the attributes `category`, `subject` and `yaw`."""
        return super().gives(**init_args) | {"attributes"}

    def open_store(self, split: str) -> Store:
        """The videos of a split, rendered when read."""
        return PuppetStore(split, self.videos[split], **self.drawn)
