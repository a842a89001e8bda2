"""How digits move: the two published rules of stochastic Moving MNIST, many digits at once.

Both draw whole numbers: a start in the area where the digit's corner may lie, and speeds up to `speed` pixels a frame
along each axis. They part in what happens at a wall. Axes are y, x.
"""

from typing import Literal

import numpy as np

Rule = Literal["svg", "srvp"]

# Rows of the drawn numbers that one frame may use: a wall of each axis, or so many bounces one after another.
EVENTS = {"svg": 2, "srvp": 24}

# Pixels and frames: what float64 may be off a fraction. Places and times that should be equal are then taken as equal.
CLOSE = 1e-9


def paths(rule: Rule, drawn: np.ndarray, travel: int, speed: int, stochastic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Top left corners of digits, and their bounces.

    Args:
        rule: `svg` or `srvp`.
        drawn: M 2 + T * EVENTS 2, uniform in [0, 1): start, velocity, then what each frame may need.
        travel: pixels between the walls that are free, canvas minus digit.
        speed: largest number of pixels a frame along an axis.
        stochastic: whether a bounce draws a new velocity; else it turns the sign.

    Returns:
        Corners, int64 M T 2, and bounces, int64 M T: how often a frame's way to the next one begins or is broken at a
        wall. Their speeds show in the next frame first. A corner, where two walls are met at once, is one bounce.
    """
    frames = (drawn.shape[1] - 2) // EVENTS[rule]
    events = drawn[:, 2:].reshape(len(drawn), frames, EVENTS[rule], 2)
    start = _whole(drawn[:, 0], 0, travel - 1 if rule == "svg" else travel)
    velocity = _whole(drawn[:, 1], -speed, speed)
    return (_svg if rule == "svg" else _srvp)(start, velocity, events, travel, speed, stochastic)


def _svg(
    at: np.ndarray, velocity: np.ndarray, events: np.ndarray, travel: int, speed: int, stochastic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Denton and Fergus' loader: a digit that passed a wall is put back to it and what it went too far is forgotten.

    First y, then x: the speed along that axis is drawn from 1..speed away from the wall, the other from -speed..speed,
    so x has the last word in a corner. The last row and column (`travel`) count as beyond the wall.
    """
    path = np.empty((*events.shape[:2], 2), dtype=np.int64)
    bounces = np.zeros(events.shape[:2], dtype=np.int64)
    for frame in range(events.shape[1]):
        for axis in (0, 1):
            low = at[:, axis] < 0
            hit = low | (at[:, axis] >= travel)
            bounces[hit, frame] = 1
            at[:, axis] = np.clip(at[:, axis], 0, travel - 1)
            if stochastic:
                away = _whole(events[:, frame, axis, 0], 1, speed)
                velocity[:, axis] = np.where(hit, np.where(low, away, -away), velocity[:, axis])
                along = _whole(events[:, frame, axis, 1], -speed, speed)
                velocity[:, 1 - axis] = np.where(hit, along, velocity[:, 1 - axis])
            else:
                velocity[:, axis] = np.where(hit, -velocity[:, axis], velocity[:, axis])
        path[:, frame] = at
        at += velocity
    return path, bounces


def _srvp(
    start: np.ndarray, velocity: np.ndarray, events: np.ndarray, travel: int, speed: int, stochastic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Franceschi et al.'s data: bounces where and when the wall is reached, and goes on for the rest of the frame.

    At the wall both speeds are drawn from -speed..speed, then the sign along the wall's axis is turned away from it.
    Places are fractions of pixels, rounded for drawing. A digit in a corner may bounce again within a frame; after the
    last of EVENTS bounces it rests until the next frame, which less than one frame in 10^9 comes to.
    """
    at = start.astype(np.float64)
    path = np.empty((*events.shape[:2], 2), dtype=np.int64)
    bounces = np.zeros(events.shape[:2], dtype=np.int64)
    for frame in range(events.shape[1]):
        path[:, frame] = np.rint(at)
        left = np.ones(len(at))  # of the frame's time
        for bounce in range(EVENTS["srvp"]):
            target = at + left[:, None] * velocity
            beyond = (target < -CLOSE) | (target > travel + CLOSE)
            wall = np.where(velocity > 0, float(travel), 0.0)
            when = np.divide(wall - at, velocity, out=np.full_like(at, np.inf), where=beyond)
            first = when.min(axis=1)
            bounced = np.isfinite(first)
            if not bounced.any():
                at = np.clip(target, 0, travel)
                break
            bounces[:, frame] += bounced
            hit = beyond & (when <= first[:, None] + CLOSE)  # both in a corner
            until = np.where(bounced, first, left)[:, None]
            at = np.where(hit, wall, np.clip(at + until * velocity, 0, travel))
            left = np.where(bounced, left - first, 0.0)
            if stochastic:
                fresh = _whole(events[:, frame, bounce], -speed, speed)
                velocity = np.where(bounced[:, None], fresh, velocity)
                velocity = np.where(hit, np.where(wall > 0, -1, 1) * abs(velocity), velocity)
            else:
                velocity = np.where(hit, -velocity, velocity)
    return path, bounces


def _whole(drawn: np.ndarray, low: int, high: int) -> np.ndarray:
    """Uniform whole numbers low..high, both included, from uniform numbers in [0, 1)."""
    return low + (drawn * (high - low + 1)).astype(np.int64)
