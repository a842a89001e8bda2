"""The embedded persons as a datamodule."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from datamodules.base import Store
from datamodules.errors import BenchError
from datamodules.flip import Flipped
from datamodules.generated import open_generated
from datamodules.store import CachedStore
from datamodules.synthetic.puppet.body import LABELS, OTHER_SIDE
from datamodules.synthetic.puppet.condition import SIDED, Condition
from datamodules.synthetic.puppet.identity import Texture
from datamodules.synthetic.puppet.kept import DRAWN_LIKE, BatchPuppets, check_truth, track
from datamodules.synthetic.puppet.scene import CameraMotion, IdentitySplit, MotionSplit
from datamodules.synthetic.puppet.sourced import SourcedStore
from datamodules.synthetic.puppet.store import SourceRoom, check
from datamodules.tracks import SOURCES, Track

PuppetSource = Literal["none", "first", "random", "other"]


class Puppet(Flipped):
    """Textured persons moved by motion capture: no download, and everything about the frames is known exactly.

    Videos are rendered once, into the cache, with the truth that is asked for.

    Args:
        size: height and width of the frames, or (height, width): 64, (128, 64) as in Market-1501, 128, 256.
        frames: T, frames of a clip.
        stride: every `stride`-th frame; 1 where flow is asked for (`fps` slows or speeds the motion).
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
        truth: keys of `VideoBatch` given beside the frames: pose, labels (body parts), instances, mask, face_box, flow,
            flow_valid, flow_back, flow_back_valid.
        condition: what frames are to be made from, drawn from what is known: stick figures as `edn` (Everybody Dance
            Now) or `vid2vid` draws them, `edges` of body parts and persons (one channel), or `none`. pix2pixHD's label
            maps are the truth `labels` and `instances`.
        source: a picture of the persons beside the clip, with its pose, mask and labels where truth names them: the
            `first` frame, a `random` one of its video, an `other` one in which the same persons do something else,
            turned another way (pairs as in Market-1501, where frames and video_frames are 1), or `none`.
        source_room: whether an `other` source has the `same` background as the clip or an `other` one.
        flip: mirrors training clips, their sources with them, with probability 1/2; right and left joints and labels
            change places.
        seed: of the data, not of the run.
    """

    name = "puppet"
    classes = len(LABELS)  # of `labels`
    other_side = OTHER_SIDE
    turns = frozenset(f"{picture}yaw{person}" for picture in ("", "source_") for person in ("", "_2"))

    def __init__(
        self,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
        video_frames: int = 32,
        train_videos: int = 1000,
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
        truth: tuple[str, ...] = ("pose",),
        condition: Condition = "none",
        source: PuppetSource = "none",
        source_room: SourceRoom = "same",
        flip: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        if video_frames < frames:
            raise BenchError(f"data.init_args.video_frames={video_frames} must be at least frames={frames}")
        self.videos = {"train": train_videos, "val": val_videos, "test": test_videos}
        for split, videos in self.videos.items():
            if videos < 1:
                raise BenchError(f"data.init_args.{split}_videos must be at least 1, found {videos}")
        check_truth(truth)
        flows = any(key.startswith("flow") for key in truth)
        if flows and stride != 1:
            raise BenchError(
                f"data.init_args.stride must be 1 where truth names flow, found {stride}; change fps instead"
            )
        if flows and frames < 2:
            raise BenchError("data.init_args.frames must be at least 2 where truth names flow, found 1")
        for key, value, known in (
            ("condition", condition, get_args(Condition)),
            ("source", source, get_args(PuppetSource)),
            ("source_room", source_room, get_args(SourceRoom)),
        ):
            if value not in known:
                raise BenchError(f"data.init_args.{key} must be one of {list(known)}, found {value!r}")
        if source_room != "same" and source != "other":
            raise BenchError(f"data.init_args.source_room={source_room} needs source=other, found {source}")
        if flip and condition in SIDED:
            raise BenchError(
                f"data.init_args.flip=true with condition={condition}: its colours tell right from left, and a mirrored"
                " drawing would swap them; set flip to false"
            )
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
        self._joined = DRAWN_LIKE[skeleton]
        self.tracks = frozenset(truth) | _condition(condition)
        self.kept = {
            key: track(key, self.height, self.width, persons, len(self._joined), condition)
            for key in sorted(self.tracks)
        }
        self.skeleton, self.condition, self.flip, self.source_room = self._joined.name, condition, flip, source_room
        if source == "other":
            self.tracks |= _of_source(self.tracks)
        else:
            self.source = source

    @property
    def limbs(self) -> Sequence[tuple[int, int]]:  # type: ignore[override]
        """Joints to join where the pose is drawn."""
        return self._joined.limbs

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with the attributes `category`, `subject` and `yaw`, the truth asked for, and the source picture."""
        truth = frozenset(init_args.get("truth", ("pose",)))
        source = _of_source(truth) if init_args.get("source", "none") != "none" else frozenset()
        condition = _condition(init_args.get("condition", "none"))
        return super().gives(**init_args) | {"attributes"} | truth | source | condition

    def open_store(self, split: str) -> Store:
        """The videos of a split; the first process that needs them renders them into the cache."""
        puppets = BatchPuppets(split, self.videos[split], self.condition, **self.drawn)
        clips = self._cached(split, puppets, self.kept)
        if not self.tracks & set(SOURCES):
            return clips
        of_source = {key: kept for key, kept in self.kept.items() if key in SOURCES.values()}
        return SourcedStore(clips, self._cached(f"{split}_sources", puppets.sources(self.source_room), of_source))

    def _cached(self, part: str, puppets: BatchPuppets, kept: Mapping[str, Track]) -> CachedStore:
        return open_generated(f"{self.name}_{part}", puppets, kept).select(np.arange(len(puppets.names)))


def _condition(condition: str) -> frozenset[str]:
    return frozenset() if condition == "none" else frozenset({"condition"})


def _of_source(truth: frozenset[str]) -> frozenset[str]:
    """What a batch holds of source pictures."""
    return frozenset(key for key, of in SOURCES.items() if of in truth | {"video"})
