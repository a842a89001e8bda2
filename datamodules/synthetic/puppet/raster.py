"""Which limb each pixel shows: spans of pixels per limb and image row, then one sort by pixel and depth.

Nothing here loops over frames, limbs or pixels, and nothing depends on what else is in the batch.
"""

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.puppet.geometry import Limbs

EDGE = 0.5  # pixels beyond its outline that a limb still tints: coverage of a pixel is taken as linear in the distance
DEPTH_STEPS = 2**18
DEPTH_RANGE = 8.0  # metres
FRAGMENT_BITS = 22  # of a sorting key, and as many for the pixel


@dataclass(frozen=True)
class Fragments:
    """Pixels of limbs, N of them, by frame, then limb.

    Attributes:
        limb: frame * K + limb.
        pixel: (frame * height + y) * width + x.
        t, e, v: place on the limb, see `Limbs`.
        cover: share of the pixel that the limb covers, above 0; above 0.5 where the pixel's centre lies in it.
        depth: metres towards the camera.
    """

    limb: np.ndarray
    pixel: np.ndarray
    t: np.ndarray
    e: np.ndarray
    v: np.ndarray
    cover: np.ndarray
    depth: np.ndarray


def fragments(limbs: Limbs, height: int, width: int) -> Fragments:
    """All pixels of all limbs (F K) that lie in the image."""
    frames, count = limbs.ax.shape
    if frames * height * width >= 1 << FRAGMENT_BITS:
        raise ValueError(f"at most {1 << FRAGMENT_BITS} pixels at a time, found {frames} x {height} x {width}")
    flat = {name: getattr(limbs, name).ravel() for name in ("ax", "ay", "ux", "uy", "length", "r0", "r1", "z0", "z1")}
    limb, y = _rows(flat, height)
    row = {name: values[limb] for name, values in flat.items()}
    dy = (y + np.float32(0.5)) - row["ay"]
    left, right = _spans(row, dy)
    first = np.clip(np.ceil(left + (row["ax"] - 0.5)), 0, width).astype(np.int32)
    last = np.clip(np.floor(right + (row["ax"] - 0.5)), -1, width - 1).astype(np.int32)
    many = np.maximum(last - first + 1, 0)
    of_row, place = _runs(many)

    def spread(values: np.ndarray) -> np.ndarray:
        return values[of_row]

    x = spread(first) + place
    dx = x - spread(row["ax"] - np.float32(0.5))
    length = spread(row["length"])
    t = (dx * spread(row["ux"]) + spread(dy * row["uy"])) / length
    s = spread(dy * row["ux"]) - dx * spread(row["uy"])
    within = np.clip(t, 0, 1)
    beyond = (t - within) * length
    r = spread(row["r0"]) + spread(row["r1"] - row["r0"]) * within
    beyond2 = beyond * beyond
    chord2 = r * r - beyond2  # of the limb at this place, half and squared
    s2 = s * s
    cover = np.minimum(r + np.float32(EDGE) - np.sqrt(beyond2 + s2), np.float32(1))
    at = np.flatnonzero(cover > 0)
    v = s[at] / np.sqrt(np.maximum(chord2[at], 1e-6))
    limb_at = limb[of_row[at]]
    rise = np.sqrt(np.maximum(chord2[at] - s2[at], 0)) * limbs.bulge.ravel()[limb_at]
    z0, t = flat["z0"][limb_at], within[at]
    return Fragments(
        limb=limb_at,
        pixel=((limb_at // count).astype(np.int64) * height + spread(y)[at]) * width + x[at],
        t=t,
        e=np.clip(beyond[at] / r[at], -1, 1),
        v=np.clip(v, -1, 1),
        cover=cover[at],
        depth=z0 + (flat["z1"][limb_at] - z0) * t + rise,
    )


def _rows(flat: dict[str, np.ndarray], height: int) -> tuple[np.ndarray, np.ndarray]:
    """Limb and y of every image row that a limb may touch."""
    ay, by = flat["ay"], flat["ay"] + flat["uy"] * flat["length"]
    top = np.minimum(ay - flat["r0"], by - flat["r1"]) - EDGE
    bottom = np.maximum(ay + flat["r0"], by + flat["r1"]) + EDGE
    first = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int32)
    last = np.clip(np.floor(bottom - 0.5), -1, height - 1).astype(np.int32)
    limb, place = _runs(np.maximum(last - first + 1, 0))
    return limb, first[limb] + place


def _runs(many: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[2, 0, 3] -> [0, 0, 2, 2, 2] and [0, 1, 0, 1, 2], int32."""
    owner = np.repeat(np.arange(len(many), dtype=np.int32), many)
    before = (np.cumsum(many) - many).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - before[owner]


def _spans(row: dict[str, np.ndarray], dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the stretch of each row that may be in the limb, pixels from the axis' start; left > right where empty.

    The outline is two discs and the trapezoid between them; the stretch is from the first to the last pixel of any.
    """
    ux, uy, length, edge = row["ux"], row["uy"], row["length"], np.float32(EDGE)
    r0, r1 = row["r0"] + edge, row["r1"] + edge
    end_x, end_dy = ux * length, dy - uy * length
    with np.errstate(divide="ignore", invalid="ignore"):
        half0, half1 = np.sqrt(r0 * r0 - dy * dy), np.sqrt(r1 * r1 - end_dy * end_dy)  # nan where the disc is missed
        left, right = np.fmin(-half0, end_x - half1), np.fmax(half0, end_x + half1)
        # The trapezoid: 0 <= t <= 1 and |s| <= r0 + (r1 - r0) t, each linear in dx: slope * dx <= limit.
        along, taper = dy * uy, (r1 - r0) / length
        inner_left, inner_right = np.full_like(dy, -np.inf), np.full_like(dy, np.inf)
        for slope, limit in (
            (-ux, along),
            (ux, length - along),
            (-uy - taper * ux, r0 - dy * ux + taper * along),
            (uy - taper * ux, r0 + dy * ux + taper * along),
        ):
            at = limit / slope
            inner_right = np.where(slope > 0, np.minimum(inner_right, at), inner_right)
            inner_left = np.where(slope < 0, np.maximum(inner_left, at), inner_left)
    crossed = inner_left <= inner_right
    left, right = (
        np.where(crossed, np.fmin(left, inner_left), left),
        np.where(crossed, np.fmax(right, inner_right), right),
    )
    empty = np.isnan(left)
    return np.where(empty, np.float32(1), left), np.where(empty, np.float32(-1), right)


def order(found: Fragments) -> tuple[np.ndarray, np.ndarray]:
    """Fragment numbers sorted by pixel, the nearest first, and which of them are the nearest of their pixel.

    Of two equally near limbs (to 0.03 mm) the one with the smaller number counts as nearer.
    """
    if len(found.pixel) >= 1 << FRAGMENT_BITS:
        raise ValueError(f"at most {1 << FRAGMENT_BITS} fragments at a time, found {len(found.pixel)}")
    far = (DEPTH_RANGE / 2 - found.depth) * (DEPTH_STEPS / DEPTH_RANGE)
    depth = np.clip(far, 0, DEPTH_STEPS - 1).astype(np.int64)
    key = (found.pixel * DEPTH_STEPS + depth) << FRAGMENT_BITS
    key |= np.arange(len(key))
    key.sort()
    by_depth = key & ((1 << FRAGMENT_BITS) - 1)
    return by_depth, firsts(found.pixel[by_depth])


def firsts(pixel: np.ndarray) -> np.ndarray:
    """True where a sorted list of pixels comes to a new one."""
    out = np.ones(len(pixel), dtype=bool)
    np.not_equal(pixel[1:], pixel[:-1], out=out[1:])
    return out
