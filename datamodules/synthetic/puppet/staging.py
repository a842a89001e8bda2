"""Who stands where: the bodies of some frames, and the camera that sees them."""

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.puppet.body import LEG
from datamodules.synthetic.puppet.geometry import Camera
from datamodules.synthetic.puppet.identity import Identities
from datamodules.synthetic.puppet.motions import load_motions
from datamodules.synthetic.puppet.scene import Scenes

TALL = 2.15  # metres that the image's height shows at zoom 1
FLOOR = 0.93  # share of the height at which the persons stand


@dataclass(frozen=True)
class Stage:
    """What all frames of a set share.

    Attributes:
        scenes: V videos.
        identities: that `scenes.person` counts.
        backgrounds: N DRAWS uniform numbers; video i has background i % N.
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


@dataclass(frozen=True)
class Cast:
    """B*T*P bodies, in order of clip, frame and person.

    Attributes:
        person: B*T P, identities.
        points, fronts: as `Motions.at` gives them.
        girth: factor of the radii.
        camera: one a body.
        pan: B T, whole pixels by which the camera has moved to the right.
        scale: B, pixels a metre.
    """

    person: np.ndarray
    points: np.ndarray
    fronts: np.ndarray
    girth: np.ndarray
    camera: Camera
    pan: np.ndarray
    scale: np.ndarray


def cast(stage: Stage, videos: np.ndarray, frames: np.ndarray) -> Cast:
    """The bodies in `frames` B T of `videos` B."""
    scenes, (clips, times) = stage.scenes, frames.shape
    person, motion = scenes.person[videos], scenes.motion[videos]  # B P
    persons, factors = person.shape[1], stage.identities.factors[person]
    within, travel = scenes.time(videos, frames / stage.fps)  # B P T

    def each(values: np.ndarray) -> np.ndarray:
        """Of a clip's persons, B P or B 1 and more axes -> of each body."""
        spread = np.broadcast_to(values[:, None], (clips, times, *values.shape[1:]))
        spread = np.broadcast_to(spread, (clips, times, persons, *values.shape[2:]))
        return spread.reshape(clips * times * persons, *values.shape[2:])

    points, fronts = load_motions().at(each(motion), within.transpose(0, 2, 1).reshape(-1), each(factors))
    scale, tilt, place = stage.height / TALL * scenes.zoom[videos], scenes.tilt[videos], scenes.place[videos]
    leg_speed = load_motions().velocity[motion[:, 0]] * factors[:, :1, LEG]
    pan, lag = _pan(stage, videos, frames, leg_speed, travel[:, 0], scale)
    lower = FLOOR * stage.height + (scale * np.sin(tilt))[:, None] * place[..., 1]  # nearer persons stand lower
    camera = Camera(
        yaw=each(np.deg2rad(scenes.yaw[videos])),
        tilt=each(tilt[:, None]),
        scale=each(scale[:, None]),
        x=(place[:, None, :, 0] * stage.width + lag[..., None]).reshape(-1),
        y=each(lower),
        depth=each(place[..., 1]),
    )
    return Cast(
        each(person).reshape(-1, persons), points, fronts, each(stage.identities.width[person]), camera, pan, scale
    )


def _pan(
    stage: Stage, videos: np.ndarray, frames: np.ndarray, speed: np.ndarray, travel: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """B T: whole pixels that the camera has moved to the right, and how far it lags behind the first person.

    Whole pixels, so that the background moves without being resampled. All persons of a video walk with the first.

    Args:
        speed: B 2, metres a second of the first person, forwards and to his right; travel: B T, seconds of it.
    """
    if not stage.pan:
        return np.zeros(frames.shape, dtype=np.int64), np.zeros(frames.shape)
    scenes = stage.scenes
    yaw = np.deg2rad(scenes.yaw[videos, 0])
    walked = ((speed[:, 0] * np.sin(yaw) - speed[:, 1] * np.cos(yaw)) * scale)[:, None] * travel
    turn = 2 * np.pi * frames / stage.fps / scenes.swing[videos][:, None]
    swing = (scenes.sway[videos] * scale)[:, None] * np.sin(turn + scenes.swing_at[videos][:, None])
    camera = np.rint(walked + swing)
    return camera.astype(np.int64), walked - camera
