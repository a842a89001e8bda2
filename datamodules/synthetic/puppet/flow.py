"""Exact motion of what each pixel shows, and whether the other frame shows it too."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datamodules.synthetic.puppet.geometry import Limbs
from datamodules.synthetic.puppet.shade import Surface

_TABLE = ("ax", "ay", "ux", "uy", "length", "r0", "r1", "c", "d")


def flow(
    surface: Surface, limbs: Limbs, shown: np.ndarray, pan: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where the point that a pixel shows lies in the next frame (`step` 1) or in the one before (-1).

    Args:
        surface: of all B T frames.
        limbs: B*T K.
        shown: uint8 B T H W, 0 for the background, 1 + limb otherwise.
        pan: B T, whole pixels by which the camera has moved to the right.

    Returns:
        Flow float32 B 2 T-1 H W in pixels, x then y, of frames 0..T-2 (`step` 1) or 1..T-1 (-1), and valid uint8
        B 1 T-1 H W: 1 where the other frame shows the same point. A point that leaves the image, goes behind a limb
        or turns to the far side of its own limb is not valid, nor is background that a person comes to hide. Of a
        person's points the flow is exact whether they are seen or not. Shadows belong to no surface and do not flow.
    """
    clips, frames, height, width = shown.shape
    area = height * width
    here, there = (slice(0, -1), slice(1, None)) if step == 1 else (slice(1, None), slice(0, -1))
    shift = (pan[:, here] - pan[:, there]).astype(np.int64)  # B T-1
    out = np.zeros((clips, 2, frames - 1, height, width), dtype=np.float32)
    if shift.any():
        out[:, 0] = shift[..., None, None]
        reach = min(int(np.abs(shift).max()), width)
        padded = np.pad(shown[:, there], ((0, 0), (0, 0), (0, 0), (reach, reach)), constant_values=1)
        windows = sliding_window_view(padded, width, axis=3)  # B T-1 H 2 reach + 1 W
        clip, frame = np.indices(shift.shape)
        other = windows[clip, frame, :, reach + np.clip(shift, -reach, reach)]
    else:
        other = shown[:, there]
    valid = ((shown[:, here] | other) == 0).astype(np.uint8)

    frame = surface.pixel // area
    time = frame % frames
    chosen = np.flatnonzero((time < frames - 1) if step == 1 else (time > 0))
    limb, t, e, v, pixel = (x[chosen] for x in (surface.limb, surface.t, surface.e, surface.v, surface.pixel))
    count = limbs.ax.shape[1]
    c, d = limbs.c.ravel()[limb], limbs.d.ravel()[limb]
    w = np.sqrt(1 - v * v)
    across, front = v * c - w * d, v * d + w * c  # of the material
    table = np.stack([getattr(limbs, name).ravel() for name in _TABLE], axis=1)[limb + step * count]
    ax, ay, ux, uy, length, r0, r1, c, d = table.T
    r = r0 + (r1 - r0) * t
    along = t * length + e * r
    aside = (across * c + front * d) * r * np.sqrt(1 - e * e)
    x, y = ax + ux * along - uy * aside, ay + uy * along + ux * aside
    place = pixel % area
    column, row = place % width, place // width
    facing = front * c - across * d > 0
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height) & facing
    landing = np.where(within, y, 0).astype(np.int64) * width + np.where(within, x, 0).astype(np.int64)
    same = shown.reshape(-1)[(frame[chosen] + step) * area + landing] == limb % count + 1

    clip, time = frame[chosen] // frames, time[chosen] - (step == -1)
    flat = (clip * (frames - 1) + time) * area + place
    valid.reshape(-1)[flat] = within & same
    flat += clip * ((frames - 1) * area)  # of the two components the first
    out.reshape(-1)[flat] = x - (column + np.float32(0.5))
    out.reshape(-1)[flat + (frames - 1) * area] = y - (row + np.float32(0.5))
    return out, valid[:, None]
