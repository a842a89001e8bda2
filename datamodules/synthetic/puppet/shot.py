"""Frames of some videos and the truth about them; each is computed when it is first asked for."""

from functools import cached_property

import numpy as np

from datamodules.synthetic.puppet import keypoints
from datamodules.synthetic.puppet.body import LIMB_LABEL, LIMBS, POINT
from datamodules.synthetic.puppet.flow import flow
from datamodules.synthetic.puppet.geometry import limbs, project
from datamodules.synthetic.puppet.raster import fragments
from datamodules.synthetic.puppet.room import blend, chunks, empty_room
from datamodules.synthetic.puppet.shade import Skin, Surface, layers
from datamodules.synthetic.puppet.staging import Stage, cast


class Shot:
    """`frames` B T of `videos` B of a stage."""

    def __init__(self, stage: Stage, videos: np.ndarray, frames: np.ndarray) -> None:
        self.stage, self.videos = stage, videos
        self.clips, self.times = frames.shape
        self.persons = stage.scenes.person.shape[1]
        self.cast = cast(stage, videos, frames)
        per_body = limbs(self.cast.points, self.cast.fronts, self.cast.girth, self.cast.camera)
        self.limbs = per_body.reshape(self.clips * self.times, self.persons * len(LIMBS))

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Surface]:
        """Frames, how much persons cover (uint8 B T H W), what is shown (see `flow`), and the surface."""
        height, width, count = self.stage.height, self.stage.width, self.persons * len(LIMBS)
        who = self.stage.identities
        room = empty_room(self.stage, self.cast, self.videos)
        cover = np.zeros((self.clips, self.times, height, width), dtype=np.uint8)
        surfaces = []
        for part in chunks(self.clips * self.times, height * width):
            drawn, before = self.limbs.part(part), part.start * height * width
            skin = Skin(drawn, who.atlas, self.cast.person[part], who.lit)
            surface, paint = layers(fragments(drawn, height, width), skin)
            pixel = paint.pixel + before
            blend(room, pixel, 1 - paint.cover, paint.colour)
            cover.reshape(-1)[pixel] = np.rint(paint.cover * 255)
            limb = surface.limb + part.start * count
            surfaces.append((surface.pixel + before, limb, surface.t, surface.e, surface.v))
        whole = Surface(*(np.concatenate(parts) for parts in zip(*surfaces, strict=True)))
        shown = np.zeros_like(cover)
        shown.reshape(-1)[whole.pixel] = whole.limb % count + 1
        return room, cover, shown, whole

    def _flow(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        _, _, shown, surface = self._drawn
        return flow(surface, self.limbs, shown, self.cast.pan, step)

    @cached_property
    def _forward(self) -> tuple[np.ndarray, np.ndarray]:
        return self._flow(1)

    @cached_property
    def _backward(self) -> tuple[np.ndarray, np.ndarray]:
        return self._flow(-1)

    @cached_property
    def _joints(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key-points in pixels B*T P J 2, whether they are in the image, and whether they are hidden: B*T P J."""
        skeleton = self.stage.skeleton
        xy, near = project(self.cast.points[:, keypoints.points_of(skeleton)], self.cast.camera)
        xy, near = xy.reshape(-1, self.persons, *xy.shape[1:]), near.reshape(-1, self.persons, near.shape[1])
        seen = keypoints.inside(xy, self.stage.height, self.stage.width)
        return xy, seen, seen & keypoints.hidden(xy, near, self.limbs, skeleton)

    def _per_person(self, values: np.ndarray) -> np.ndarray:
        """B*T P ... -> B P T ..."""
        return np.ascontiguousarray(values.reshape(self.clips, self.times, *values.shape[1:]).swapaxes(1, 2))

    # What follows are the tracks of `PuppetStore`, by their keys.

    def video(self) -> np.ndarray:
        """uint8 B 3 T H W."""
        return self._drawn[0]

    def mask(self) -> np.ndarray:
        """uint8 B 1 T H W: 255 times the share of the pixel that persons cover."""
        return self._drawn[1][:, None]

    def labels(self) -> np.ndarray:
        """uint8 B T H W: `body.LABELS`."""
        table = np.concatenate([[0], np.tile(LIMB_LABEL, self.persons)]).astype(np.uint8)
        return table[self._drawn[2]]

    def instances(self) -> np.ndarray:
        """uint8 B T H W: 0 background, 1 + person."""
        table = np.concatenate([[0], np.repeat(np.arange(self.persons) + 1, len(LIMBS))]).astype(np.uint8)
        return table[self._drawn[2]]

    def flow(self) -> np.ndarray:
        """float32 B 2 T-1 H W."""
        return self._forward[0]

    def flow_valid(self) -> np.ndarray:
        """uint8 B 1 T-1 H W."""
        return self._forward[1]

    def flow_back(self) -> np.ndarray:
        """float32 B 2 T-1 H W."""
        return self._backward[0]

    def flow_back_valid(self) -> np.ndarray:
        """uint8 B 1 T-1 H W."""
        return self._backward[1]

    def pose(self) -> np.ndarray:
        """float32 B P T J 3."""
        xy, seen, hidden = self._joints
        sure = np.where(hidden, keypoints.HIDDEN, keypoints.VISIBLE) * np.where(seen, 1, keypoints.OUTSIDE)
        return self._per_person(np.concatenate([xy, sure[..., None]], axis=-1).astype(np.float32))

    def visible(self) -> np.ndarray:
        """uint8 B P T J: in the image and not hidden."""
        _, seen, hidden = self._joints
        return self._per_person((seen & ~hidden).astype(np.uint8))

    def occluded(self) -> np.ndarray:
        """uint8 B P T J: in the image and hidden."""
        return self._per_person(self._joints[2].astype(np.uint8))

    def face_box(self) -> np.ndarray:
        """float32 B T 4, of the first person."""
        first = slice(None, None, self.persons)
        skull, _ = project(self.cast.points[first, POINT["skull"], None], self.cast.camera.part(first))
        scale = self.cast.camera.scale[first]
        boxes = keypoints.face_boxes(skull[:, 0], scale, self.stage.height, self.stage.width)
        return boxes.reshape(self.clips, self.times, 4)
