"""Frames before anybody is drawn: the background as the camera sees it, and the persons' shadows."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datamodules.synthetic.puppet import background
from datamodules.synthetic.puppet.staging import FLOOR, Cast, Stage

WALL = 0.9, 1.8  # metres behind the persons
CHUNK = 64 * 64 * 64  # pixels rasterised at a time: what stays in a core's cache


def empty_room(stage: Stage, cast: Cast, videos: np.ndarray) -> np.ndarray:
    """uint8 B 3 T H W: the backgrounds of `videos` B with the shadows of `cast`."""
    clips, times = cast.pan.shape
    draws = stage.backgrounds[videos % len(stage.backgrounds)]
    behind = WALL[0] + (WALL[1] - WALL[0]) * draws[:, -1]
    edge = FLOOR * stage.height - cast.scale * np.sin(stage.scenes.tilt[videos]) * behind  # B, where the floor begins
    wide = stage.grain.shape[1]
    twice = np.concatenate([stage.grain, stage.grain], axis=1)
    grain = sliding_window_view(twice, wide, axis=1)[:, (draws[:, -2] * wide).astype(np.int64)]  # H B W'
    walls = background.paint(draws, edge, grain.transpose(1, 0, 2), around=stage.pan)
    if stage.pan:
        around = np.concatenate([walls, walls[..., : stage.width]], axis=3)
        views = sliding_window_view(around, stage.width, axis=3)  # B 3 H W'+1 W
        room = np.empty((clips, 3, times, stage.height, stage.width), dtype=np.uint8)
        room.transpose(0, 2, 1, 3, 4)[:] = views[np.arange(clips)[:, None], :, :, cast.pan % wide]
    else:
        room = np.repeat(walls[:, :, None], times, axis=2)
    persons, area = cast.person.shape[1], stage.height * stage.width
    for part in chunks(clips * times, area):
        body = slice(part.start * persons, part.stop * persons)
        points, camera, girth = cast.points[body], cast.camera.part(body), cast.girth[body]
        pixel, dark = background.shadows(points, camera, girth, persons, (stage.height, stage.width))
        pixel += part.start * area
        on_floor = pixel // stage.width % stage.height >= edge[pixel // (times * area)]
        blend(room, pixel[on_floor], 1 - background.DARK * dark[on_floor])
    return room


def chunks(frames: int, area: int) -> list[slice]:
    """Runs of frames of `area` pixels to be rasterised together; one, though empty, if there are none."""
    size = max(1, CHUNK // area)
    return [slice(start, min(start + size, frames)) for start in range(0, max(frames, 1), size)]


def blend(room: np.ndarray, pixel: np.ndarray, keep: np.ndarray, add: np.ndarray | None = None) -> None:
    """In place: `keep` (N, 0..1) of what pixels (N) of `room` (B 3 T H W) show, plus `add` (N 3, 0..255).

    Args:
        pixel: (frame * H + y) * W + x, frames counted over all clips.
    """
    plane = int(np.prod(room.shape[2:]))
    at, values = pixel + pixel // plane * (2 * plane), room.reshape(-1)
    for channel in range(3):
        mixed = values[at] * keep
        if add is not None:
            mixed += add[:, channel]
        values[at] = np.rint(mixed)
        at = at + plane
