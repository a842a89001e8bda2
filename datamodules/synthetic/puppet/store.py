"""Puppet videos of one split, rendered when asked for, with everything that is known about them."""

import hashlib
import json
from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Literal, Self, get_args

import numpy as np

from datamodules.errors import BenchError
from datamodules.stream import keyed_rng
from datamodules.synthetic.puppet.background import DRAWS
from datamodules.synthetic.puppet.body import SKELETONS
from datamodules.synthetic.puppet.identity import Texture, draw_identities
from datamodules.synthetic.puppet.scene import (
    SPLITS,
    CameraMotion,
    IdentitySplit,
    MotionSplit,
    Scenes,
    allowed_motions,
    draw_scenes,
    split_motions,
)
from datamodules.synthetic.puppet.shot import Shot
from datamodules.synthetic.puppet.staging import TALL, Stage

CLIP_KEYS = frozenset({"video", "pose", "visible", "occluded", "labels", "instances", "mask", "face_box"}) | {
    f"flow{way}{what}" for way in ("", "_back") for what in ("", "_valid")
}
SourceRoom = Literal["same", "other"]
SMALLEST = 16  # pixels
CHOICES: dict[str, Collection[Any]] = {
    "split": SPLITS,
    "persons": (1, 2),
    "camera": get_args(CameraMotion),
    "skeleton": tuple(SKELETONS),
    "identity_split": get_args(IdentitySplit),
    "motion_split": get_args(MotionSplit),
    "texture": get_args(Texture),
}


class PuppetStore:
    """Videos of one split; satisfies `datamodules.base.Store`, and gives the truth beside the frames.

    Attributes `category` (number in `motions`), `subject` (identity, of all splits together) and `yaw` (whole degrees:
    0 faces the camera, 90 the image's right edge) are the first person's; with two persons `category_2`, `subject_2`
    and `yaw_2` are the second's. Yaw is that of the body's frame; the captured persons turn within it.

    Args:
        split: train, val or test.
        videos, length: how many, and frames of each.
        size: height and width of the frames.
        seed: of the data.
        persons: 1 or 2 in each video.
        camera: `static`, or `pan`: it follows the first person's way and swings sideways, by whole pixels. Under a
            static camera persons walk on the spot.
        skeleton: `openpose18` or `body25`.
        fps: frames a second; the motion is captured at 16 to 60.
        identities: persons in train, val and test.
        identity_split: `disjoint`, or `shared`: all splits draw the same persons, as many as train has.
        motions: names of the motions shown, None for all 15.
        motion_split: `shared`, `phase` (60, 20 and 20 % of each motion, played forth and back) or `held_out` (of 15
            motions 11, 2 and 2).
        yaw: degrees, from and up to.
        backgrounds: how many different ones all splits share; None gives each video its own.
        texture: `cloth`, or `smooth`: slow waves of colour instead of clothes and no shading, so that a frame warped by
            the flow is the other frame, but for what bilinear sampling blurs.
    """

    def __init__(
        self,
        split: str,
        videos: int = 256,
        length: int = 64,
        size: tuple[int, int] = (64, 64),
        seed: int = 0,
        persons: int = 1,
        camera: CameraMotion = "static",
        skeleton: str = "openpose18",
        fps: float = 12.5,
        identities: tuple[int, int, int] = (200, 32, 32),
        identity_split: IdentitySplit = "disjoint",
        motions: list[str] | None = None,
        motion_split: MotionSplit = "shared",
        yaw: tuple[int, int] = (0, 360),
        backgrounds: int | None = None,
        texture: Texture = "cloth",
    ) -> None:
        described = {k: v for k, v in locals().items() if k != "self"}
        check(described)
        self.size, self.skeleton, self.fps, self.persons = size, skeleton, fps, persons
        self.lengths = np.full(videos, length, dtype=np.int64)
        self.names = [f"puppet/{split}/{i}" for i in range(videos)]
        home, first = ("train", 0) if identity_split == "shared" else (split, sum(identities[: SPLITS.index(split)]))
        people = identities[SPLITS.index(home)]
        chosen = allowed_motions(motions)
        scenes = draw_scenes(split, "clips", videos, seed, persons, people, chosen, motion_split, yaw)
        others = draw_scenes(split, "sources", videos, seed, persons, people, chosen, motion_split, yaw, scenes)
        height, width = size
        wide = 2 * width if camera == "pan" else width
        rooms = ("", backgrounds) if backgrounds else (split, videos)
        self.stage = Stage(
            scenes=scenes,
            identities=draw_identities([(seed, home, i) for i in range(people)], texture, height / TALL),
            backgrounds=keyed_rng("puppet rooms", seed, rooms[0]).random((rooms[1], DRAWS)).astype(np.float32),
            grain=keyed_rng("puppet grain", seed).random((height, wide), dtype=np.float32) * 2 - 1,
            height=height,
            width=width,
            fps=fps,
            pan=camera == "pan",
            skeleton=skeleton,
        )
        self._others, self._described, self._chosen, self._first = others, described, chosen, first
        self.attributes: Mapping[str, np.ndarray] = self._attributes(scenes)
        self.digest = self._digest()

    def sources(self, room: SourceRoom = "same") -> Self:
        """A picture of the persons of each video as a video of one frame: in another motion where the split shows
        several, and seen from another side.

        Args:
            room: `same` has the background of the video, `other` one of its own.
        """
        out = copy(self)
        backgrounds = self.stage.backgrounds
        if room == "other":
            rng = keyed_rng("puppet rooms", self._described["seed"], "sources", self._described["split"])
            backgrounds = rng.random((len(self.names), DRAWS)).astype(np.float32)
        out.stage = replace(self.stage, scenes=self._others, backgrounds=backgrounds)
        out.lengths, out.names = np.ones_like(self.lengths), [f"{name}/source" for name in self.names]
        out._described = {**self._described, "sources": room}
        out.attributes = self._attributes(self._others)
        out.digest = out._digest()
        return out

    def _attributes(self, scenes: Scenes) -> dict[str, np.ndarray]:
        place = {int(motion): i for i, motion in enumerate(self._chosen)}
        return {
            name + ("" if p == 0 else f"_{p + 1}"): values
            for p in range(self.persons)
            for name, values in (
                ("category", np.array([place[m] for m in scenes.motion[:, p].tolist()], dtype=np.int64)),
                ("subject", self._first + scenes.person[:, p]),
                ("yaw", scenes.yaw[:, p]),
            )
        }

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W 3, in memory B 3 T H W: `frames` (B T) of `videos` (B)."""
        return self.tracks(videos, frames, frozenset({"video"}))["video"].transpose(0, 2, 3, 4, 1)

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """What is asked for of `frames` (B T) of `videos` (B); frames may lie any number apart.

        Args:
            keys: some of
                `video` uint8 B 3 T H W;
                `pose` float32 B P T J 3: x, y in pixels (the first pixel's centre is 0.5, 0.5) and a confidence,
                1 in sight, 0.4 hidden behind a limb, 0 outside the image (x and y are true there too);
                `visible`, `occluded` uint8 B P T J: in the image and in sight, or hidden;
                `labels`, `instances` uint8 B T H W: body part (`body.LABELS`) and 1 + person, 0 for the background,
                of what a pixel's centre shows;
                `mask` uint8 B 1 T H W: 255 times the share of the pixel that persons cover;
                `flow` float32 B 2 T-1 H W: pixel p of frame t shows what frame t + 1 (of those asked for) shows at
                p + flow; x, then y;
                `flow_back` float32 B 2 T-1 H W: the same from t + 1 to t, so frame t + 1 at p is frame t at
                p + flow_back;
                `flow_valid`, `flow_back_valid` uint8 B 1 T-1 H W: 1 where the other frame shows the point at all;
                `face_box` float32 B T 4: left, top, right, bottom of a square around the first person's head.

        Raises:
            KeyError: a key is none of these.
            IndexError: a frame lies outside its video.
        """
        if unknown := keys - CLIP_KEYS:
            raise KeyError(f"a puppet has no {sorted(unknown)}; it has {sorted(CLIP_KEYS)}")
        if ((frames < 0) | (frames >= self.lengths[videos][:, None])).any():
            raise IndexError(f"frames {frames.min()}..{frames.max()} of puppet videos of {self.lengths[0]} frames")
        shot = Shot(self.stage, videos, frames)
        return {key: getattr(shot, key)() for key in keys}

    def _digest(self) -> str:
        some = np.arange(min(4, len(self.names)))
        clips = self.gather(some, np.tile(np.arange(min(8, int(self.lengths[0]))), (len(some), 1)))
        return hashlib.blake2b(json.dumps(self._described).encode() + clips.tobytes(), digest_size=8).hexdigest()


def check(arguments: Mapping[str, Any]) -> None:
    """Looks at the arguments of `PuppetStore` without drawing anything.

    Raises:
        BenchError: one of them cannot be drawn.
    """
    for key, allowed in CHOICES.items():
        if arguments[key] not in allowed:
            raise BenchError(f"data.init_args.{key} must be one of {list(allowed)}, found {arguments[key]!r}")
    if len(arguments["identities"]) != 3 or min(arguments["identities"]) < 1:
        raise BenchError(f"data.init_args.identities are 3 counts of at least 1, found {arguments['identities']}")
    if min(arguments["size"]) < SMALLEST:
        raise BenchError(f"data.init_args.size must be at least {SMALLEST}, found {arguments['size']}")
    low, high = arguments["yaw"]
    if not low < high:
        raise BenchError(f"data.init_args.yaw is [from, up to] in degrees, from less than up to; found {[low, high]}")
    if not arguments["fps"] > 0:
        raise BenchError(f"data.init_args.fps must be above 0, found {arguments['fps']}")
    for split in SPLITS:
        split_motions(allowed_motions(arguments["motions"]), split, arguments["motion_split"])
    if arguments["backgrounds"] is not None and arguments["backgrounds"] < 1:
        raise BenchError(f"data.init_args.backgrounds must be at least 1 or null, found {arguments['backgrounds']}")
