"""Frames of some videos and the truth about them; each is computed when it is first asked for."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datamodules.synthetic.puppet import background, keypoints
from datamodules.synthetic.puppet.body import LIMB_LABEL, LIMBS, POINT
from datamodules.synthetic.puppet.flow import flow
from datamodules.synthetic.puppet.geometry import Camera, Limbs, limbs, project
from datamodules.synthetic.puppet.identity import Identities
from datamodules.synthetic.puppet.motions import load_motions
from datamodules.synthetic.puppet.raster import fragments
from datamodules.synthetic.puppet.scene import Scenes
from datamodules.synthetic.puppet.shade import Skin, Surface, layers

TALL = 2.15  # metres that the image's height shows at zoom 1
FLOOR = 0.93  # share of the height at which the persons stand
WALL = 0.9, 1.8  # metres behind them
CHUNK = 64 * 64 * 64  # pixels rasterised at a time: what stays in a core's cache


@dataclass(frozen=True)
class Stage:
    """What all shots of a set share.

    Attributes:
        scenes: V videos.
        identities: that `scenes.person` counts.
        backgrounds: N DRAWS; video i has background i % N.
        grain: H W', fine texture; W' is the width of the backgrounds.
        height, width: of the image.
        fps: frames a second of the videos.
        pan: the camera follows the first person and swings; it stands still otherwise.
        skeleton: key-points, a name in `body.SKELETONS`.
    """

    scenes: Scenes
    identities: Identities
    backgrounds: np.ndarray
    grain: np.ndarray
    height: int
    width: int
    fps: float
    pan: bool
    skeleton: str


class Shot:
    """`frames` B T of `videos` B of a stage. Bodies are in order of clip, frame, person."""

    def __init__(self, stage: Stage, videos: np.ndarray, frames: np.ndarray) -> None:
        self.stage, self.videos, self.frames = stage, videos, frames
        scenes, (clips, times) = stage.scenes, frames.shape
        self.clips, self.times, self.persons = clips, times, scenes.person.shape[1]
        self.height, self.width = stage.height, stage.width
        person, motion = scenes.person[videos], scenes.motion[videos]  # B P
        factors, yaw = stage.identities.factors[person], np.deg2rad(scenes.yaw[videos])
        within, travel = scenes.time(videos, frames / stage.fps)  # B P T

        def bodies(values: np.ndarray) -> np.ndarray:
            """B P ... -> B*T*P ..."""
            spread = np.broadcast_to(values[:, None], (clips, times, *values.shape[1:]))
            return spread.reshape(clips * times * self.persons, *values.shape[2:])

        self.person = bodies(person).reshape(-1, self.persons)
        self.girth = bodies(stage.identities.width[person])
        flat = within.transpose(0, 2, 1).reshape(-1)
        self.points, self.fronts = load_motions().at(bodies(motion), flat, bodies(factors))

        scale = stage.height / TALL * scenes.zoom[videos]  # B
        self.scale = scale
        self.camera_x, slack = self._pan(motion, yaw, factors[..., 1], travel[:, 0], scale)
        x = scenes.place[videos][..., 0] * stage.width  # B P
        place_x = (x[:, None] + slack[..., None]).reshape(-1)
        again = np.broadcast_to(scale[:, None], person.shape)
        self.camera = Camera(
            yaw=bodies(yaw),
            tilt=bodies(np.broadcast_to(scenes.tilt[videos][:, None], person.shape)),
            scale=bodies(again),
            x=place_x,
            y=np.full(len(place_x), FLOOR * stage.height) + bodies(self._lower(scale)),
            depth=bodies(scenes.place[videos][..., 1]),
        )

    def _lower(self, scale: np.ndarray) -> np.ndarray:
        """B P, pixels by which nearer persons stand lower in the image."""
        scenes = self.stage.scenes
        return (scale * np.sin(scenes.tilt[self.videos]))[:, None] * scenes.place[self.videos][..., 1]

    def _pan(
        self, motion: np.ndarray, yaw: np.ndarray, leg: np.ndarray, travel: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """B T: whole pixels that the camera has moved to the right, and how far it lags behind the first person.

        Whole pixels, so that the background moves without being resampled.
        """
        if not self.stage.pan:
            return np.zeros(self.frames.shape, dtype=np.int64), np.zeros(self.frames.shape)
        scenes, videos = self.stage.scenes, self.videos
        velocity = load_motions().velocity[motion[:, 0]] * leg[:, :1]
        speed = velocity[:, 0] * np.sin(yaw[:, 0]) - velocity[:, 1] * np.cos(yaw[:, 0])  # to the right
        walked = (speed * scale)[:, None] * travel
        turn = 2 * np.pi * self.frames / self.stage.fps / scenes.swing[videos][:, None]
        swing = (scenes.sway[videos] * scale)[:, None] * np.sin(turn + scenes.swing_at[videos][:, None])
        camera = np.rint(walked + swing)
        return camera.astype(np.int64), walked - camera

    @cached_property
    def limbs(self) -> Limbs:
        """B*T P*16."""
        found = limbs(self.points, self.fronts, self.girth, self.camera)
        return Limbs(*(getattr(found, f.name).reshape(-1, self.persons * len(LIMBS)) for f in fields(Limbs)))

    @cached_property
    def _floor(self) -> np.ndarray:
        """B, the row where the wall meets the floor."""
        draw = self.stage.backgrounds[self.videos % len(self.stage.backgrounds)][:, -1]
        behind = WALL[0] + (WALL[1] - WALL[0]) * draw
        return FLOOR * self.height - self.scale * np.sin(self.stage.scenes.tilt[self.videos]) * behind

    def _empty_room(self) -> np.ndarray:
        """uint8 B 3 T H W: backgrounds with the persons' shadows."""
        stage, clips = self.stage, np.arange(self.clips)
        number = self.videos % len(stage.backgrounds)
        wide = stage.grain.shape[1]
        doubled = np.concatenate([stage.grain, stage.grain], axis=1)
        shift = (stage.backgrounds[number][:, -2] * wide).astype(np.int64)
        grain = sliding_window_view(doubled, wide, axis=1)[:, shift].transpose(1, 0, 2)
        walls = background.paint(stage.backgrounds[number], self._floor, grain, stage.pan)
        if not stage.pan:
            room = np.repeat(walls[:, :, None], self.times, axis=2)
        else:
            around = np.concatenate([walls, walls[..., : self.width]], axis=3)
            views = sliding_window_view(around, self.width, axis=3)[..., :-1, :]  # B 3 H W' W
            room = np.empty((self.clips, 3, self.times, self.height, self.width), dtype=np.uint8)
            room.transpose(0, 2, 1, 3, 4)[:] = views[clips[:, None], :, :, self.camera_x % wide]
        self._cast_shadows(room)
        return room

    def _cast_shadows(self, room: np.ndarray) -> None:
        image = (self.height, self.width)
        for pixel, dark in self._chunked_shadows(image):
            row, clip = pixel // self.width % self.height, pixel // (self.times * self.height * self.width)
            on_floor = row >= self._floor[clip]
            self._over(room, pixel[on_floor], 1 - background.DARK * dark[on_floor])

    def _chunked_shadows(self, image: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
        out = []
        for start, stop in self._chunks():
            part = slice(start * self.persons, stop * self.persons)
            camera = Camera(*(getattr(self.camera, f.name)[part] for f in fields(Camera)))
            pixel, dark = background.shadows(self.points[part], camera, self.girth[part], self.persons, image)
            out.append((pixel + start * image[0] * image[1], dark))
        return out

    def _over(self, room: np.ndarray, pixel: np.ndarray, keep: np.ndarray, add: np.ndarray | None = None) -> None:
        """In place: `keep` of what the pixels of `room` (B 3 T H W) show, plus `add` (N 3)."""
        plane = self.times * self.height * self.width
        at = pixel + pixel // plane * (2 * plane)
        values = room.reshape(-1)
        for channel in range(3):
            mixed = values[at] * keep
            if add is not None:
                mixed += add[:, channel]
            values[at] = np.rint(mixed)
            at = at + plane

    def _chunks(self) -> list[tuple[int, int]]:
        count, size = self.clips * self.times, max(1, CHUNK // (self.height * self.width))
        return [(start, min(start + size, count)) for start in range(0, count, size)]

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Surface]:
        """Frames, how much persons cover (uint8 B T H W), what is shown (see `flow`), and the surface."""
        room, area = self._empty_room(), self.height * self.width
        cover = np.zeros((self.clips, self.times, self.height, self.width), dtype=np.uint8)
        surfaces = []
        for start, stop in self._chunks():
            part = Limbs(*(getattr(self.limbs, f.name)[start:stop] for f in fields(Limbs)))
            skin = Skin(part, self.stage.identities.atlas, self.person[start:stop])
            surface, paint = layers(fragments(part, self.height, self.width), skin)
            pixel = paint.pixel + start * area
            self._over(room, pixel, 1 - paint.cover, paint.colour)
            cover.reshape(-1)[pixel] = np.rint(paint.cover * 255)
            limb = surface.limb + start * self.limbs.ax.shape[1]
            surfaces.append((surface.pixel + start * area, limb, surface.t, surface.e, surface.v))
        whole = Surface(*(np.concatenate(parts) for parts in zip(*surfaces, strict=True)))
        shown = np.zeros_like(cover)
        shown.reshape(-1)[whole.pixel] = whole.limb % self.limbs.ax.shape[1] + 1
        return room, cover, shown, whole

    @cached_property
    def _forward(self) -> tuple[np.ndarray, np.ndarray]:
        _, _, shown, surface = self._drawn
        return flow(surface, self.limbs, shown, self.camera_x, 1)

    @cached_property
    def _backward(self) -> tuple[np.ndarray, np.ndarray]:
        _, _, shown, surface = self._drawn
        return flow(surface, self.limbs, shown, self.camera_x, -1)

    @cached_property
    def _joints(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key-points in pixels B*T P J 2, whether they are in the image, and whether they are hidden: B*T P J."""
        xy, near = project(self.points[:, keypoints.points_of(self.stage.skeleton)], self.camera)
        xy, near = xy.reshape(-1, self.persons, *xy.shape[1:]), near.reshape(-1, self.persons, near.shape[1])
        seen = keypoints.inside(xy, self.height, self.width)
        return xy, seen, seen & keypoints.hidden(xy, near, self.limbs, self.stage.skeleton)

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
        skull, _ = project(self.points[:: self.persons, [POINT["skull"]]], _first(self.camera, self.persons))
        boxes = keypoints.face_boxes(skull[:, 0], self.camera.scale[:: self.persons], self.height, self.width)
        return boxes.reshape(self.clips, self.times, 4)


def _first(camera: Camera, persons: int) -> Camera:
    """The camera of each frame's first person."""
    return Camera(*(getattr(camera, f.name)[::persons] for f in fields(Camera)))
