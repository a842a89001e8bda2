"""From bodies in metres to limbs in pixels: an orthographic camera that looks down a little."""

from dataclasses import dataclass, fields

import numpy as np

from datamodules.synthetic.puppet.body import LIMB_FLATNESS, LIMB_FROM, LIMB_RADII, LIMB_TO

SHORTEST = 0.75  # pixels: a limb that points at the camera keeps a length, since positions along it are divided by it


@dataclass(frozen=True)
class Camera:
    """One camera a body; arrays of F.

    Attributes:
        yaw: radians; 0 faces the camera, a quarter turn faces the right edge of the image.
        tilt: radians, how far the camera looks down.
        scale: pixels a metre.
        x, y: pixels, image of the body's origin on the floor.
        depth: metres, the origin's distance towards the camera.
    """

    yaw: np.ndarray
    tilt: np.ndarray
    scale: np.ndarray
    x: np.ndarray
    y: np.ndarray
    depth: np.ndarray

    def part(self, rows: slice) -> "Camera":
        """Of some of the bodies."""
        return Camera(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Limbs:
    """Tapered limbs with round ends, as they are drawn; float32 arrays of F K (K limbs, of all persons of a frame).

    A point of a limb's surface has three coordinates that stay with the material: `t` in 0..1 from one end to the
    other, `e` in -1..1 beyond them in units of the radius there (0 in between), and a direction around the axis. The
    view shows half of the directions: v in -1..1 across the axis, w = sqrt(1 - v^2) towards the camera. The material's
    own axes, `across` and `front`, are (v c - w d, v d + w c); limbs flat in depth are circles in these coordinates.

    Attributes:
        ax, ay: pixels, where the axis starts.
        ux, uy: its direction in the image, a unit.
        length: pixels.
        r0, r1: pixels, half widths at the ends.
        z0, z1: metres towards the camera, depth of the axis at the ends.
        bulge: metres a pixel: how far the surface rises above the axis, per pixel of half chord.
        c, d: the turn of the material against the view.
    """

    ax: np.ndarray
    ay: np.ndarray
    ux: np.ndarray
    uy: np.ndarray
    length: np.ndarray
    r0: np.ndarray
    r1: np.ndarray
    z0: np.ndarray
    z1: np.ndarray
    bulge: np.ndarray
    c: np.ndarray
    d: np.ndarray

    def part(self, rows: slice) -> "Limbs":
        """Of some of the frames."""
        return Limbs(*(getattr(self, field.name)[rows] for field in fields(self)))

    def reshape(self, *shape: int) -> "Limbs":
        """The same limbs, of other frames."""
        return Limbs(*(getattr(self, field.name).reshape(shape) for field in fields(self)))


def view(vectors: np.ndarray, yaw: np.ndarray, tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Body axes F J 3 -> to the right, up, towards the camera: three times F J float32."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    sin, cos = np.sin(yaw).astype(np.float32)[:, None], np.cos(yaw).astype(np.float32)[:, None]
    down, level = np.sin(tilt).astype(np.float32)[:, None], np.cos(tilt).astype(np.float32)[:, None]
    near = x * cos + z * sin
    return x * sin - z * cos, y * level - near * down, near * level + y * down


def project(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Points F J 3 in metres -> pixels F J 2 (x, y; the first pixel's centre is 0.5, 0.5) and depths F J in metres."""
    right, up, near = view(points, camera.yaw, camera.tilt)
    scale = camera.scale.astype(np.float32)[:, None]
    x = right * scale + camera.x.astype(np.float32)[:, None]
    y = camera.y.astype(np.float32)[:, None] - up * scale
    return np.stack([x, y], -1), near + camera.depth.astype(np.float32)[:, None]


def limbs(points: np.ndarray, fronts: np.ndarray, width: np.ndarray, camera: Camera) -> Limbs:
    """Limbs F 16 of bodies.

    Args:
        points: F J 3, fronts: F 16 3, as `Motions.at` gives them.
        width: F, factor of the radii; heads keep theirs.
    """
    xy, near = project(points, camera)
    start, end = xy[:, LIMB_FROM], xy[:, LIMB_TO]
    z0, z1 = near[:, LIMB_FROM], near[:, LIMB_TO]
    scale = camera.scale.astype(np.float32)[:, None]
    d = end - start
    seen = np.sqrt(d[..., 0] ** 2 + d[..., 1] ** 2)  # pixels
    unit = d / np.maximum(seen, 1e-3)[..., None]
    unit[..., 0] = np.where(seen < 1e-3, 1, unit[..., 0])
    rise = (z1 - z0) * scale
    whole = np.maximum(np.sqrt(seen**2 + rise**2), 1e-3)
    sin, cos = rise / whole, np.maximum(seen, 1e-3) / whole
    # Across the axis in the image, and across both towards the camera; the front's share of each.
    ux, uy = unit[..., 0], unit[..., 1]
    right, up, towards = view(fronts, camera.yaw, camera.tilt)
    f_v = -uy * right - ux * up
    f_w = -ux * sin * right + uy * sin * up + cos * towards
    norm = np.maximum(np.sqrt(f_v**2 + f_w**2), 1e-6)
    f_v, f_w = f_v / norm, f_w / norm
    # An ellipse with half axes 1 and `flat`, seen from the side: its half width, and the circle that it is made of.
    half = np.sqrt(f_w**2 + (LIMB_FLATNESS * f_v) ** 2)
    factor = np.where(np.isin(np.arange(16), (0, 3)), np.float32(1), width.astype(np.float32)[:, None])
    radius = factor * scale * half
    return Limbs(
        ax=start[..., 0],
        ay=start[..., 1],
        ux=ux,
        uy=uy,
        length=np.maximum(seen, SHORTEST),
        r0=LIMB_RADII[:, 0] * radius,
        r1=LIMB_RADII[:, 1] * radius,
        z0=z0,
        z1=z1,
        bulge=LIMB_FLATNESS / (half**2 * scale),
        c=f_w / half,
        d=LIMB_FLATNESS * f_v / half,
    )
