"""Bodies and cameras for tests, without a store."""

from dataclasses import fields

import numpy as np

from datamodules.synthetic.puppet.body import LIMBS, POINT
from datamodules.synthetic.puppet.geometry import Camera, Limbs, limbs
from datamodules.synthetic.puppet.motions import load_motions

SIDES = (("right_", "left_"), ("left_", "right_"))


def other_side(name: str) -> str:
    for here, there in SIDES:
        if name.startswith(here):
            return there + name.removeprefix(here)
    return name


def bodies(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points F J 3 and fronts F 16 3 of random moments of random motions."""
    rng, bank = np.random.default_rng(seed), load_motions()
    motion = rng.integers(0, len(bank.names), count)
    return bank.at(motion, rng.random(count) * bank.seconds[motion], np.ones((count, 4)))


def mirrored(points: np.ndarray, fronts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same bodies in a mirror: left is right."""
    flip = np.array([1, 1, -1], dtype=np.float32)
    point, limb = list(POINT), list(LIMBS)
    return (
        points[:, [point.index(other_side(name)) for name in point]] * flip,
        fronts[:, [limb.index(other_side(name)) for name in limb]] * flip,
    )


def cameras(count: int, height: int, width: int, seed: int = 1, yaw: np.ndarray | None = None) -> Camera:
    rng = np.random.default_rng(seed)
    return Camera(
        yaw=rng.uniform(0, 2 * np.pi, count) if yaw is None else yaw,
        tilt=rng.uniform(0.07, 0.22, count),
        scale=np.full(count, height / 2.15),
        x=width / 2 + rng.uniform(-3, 3, count),
        y=np.full(count, 0.93 * height),
        depth=np.zeros(count),
    )


def seen(count: int, height: int, width: int, seed: int = 0) -> Limbs:
    return limbs(*bodies(count, seed), np.ones(count), cameras(count, height, width))


def as_floats(drawn: Limbs) -> dict[str, np.ndarray]:
    return {f.name: getattr(drawn, f.name).astype(np.float64) for f in fields(Limbs)}


def brute_force(drawn: Limbs, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and depth of every limb at every pixel, F K H W in float64; depth -inf where the centre is outside."""
    p = {name: values[..., None, None] for name, values in as_floats(drawn).items()}
    y, x = np.mgrid[:height, :width] + 0.5
    end_x, end_y = p["ax"] + p["ux"] * p["length"], p["ay"] + p["uy"] * p["length"]
    t = ((x - p["ax"]) * (end_x - p["ax"]) + (y - p["ay"]) * (end_y - p["ay"])) / p["length"] ** 2
    t = np.clip(t, 0, 1)
    distance = np.hypot(x - p["ax"] - t * (end_x - p["ax"]), y - p["ay"] - t * (end_y - p["ay"]))
    radius = p["r0"] * (1 - t) + p["r1"] * t
    rise = np.sqrt(np.maximum(radius**2 - distance**2, 0)) * p["bulge"]
    depth = p["z0"] * (1 - t) + p["z1"] * t + rise
    return np.clip(radius - distance + 0.5, 0, 1), np.where(distance < radius, depth, -np.inf)
