"""Colours of the limbs, and how layers of them lie over the background."""

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.puppet.body import LIMBS
from datamodules.synthetic.puppet.geometry import Limbs
from datamodules.synthetic.puppet.identity import COLUMNS, ROWS
from datamodules.synthetic.puppet.raster import Fragments, firsts, order

LAYERS = 6  # limbs blended in a pixel, from the front: outlines of five may lie before the one that covers it
# The lamp sits at the camera, and most light has no direction: brightness then changes little, and only as a limb turns
# about itself, so that frames warped by the flow stay near one another in brightness too (a lamp aside costs twice the
# warp error, and the error grows in proportion to DIFFUSE).
AMBIENT, DIFFUSE = 0.87, 0.16


@dataclass(frozen=True)
class Surface:
    """The limb that each pixel's centre shows: N pixels of F frames, by pixel.

    Attributes:
        pixel: (frame * height + y) * width + x.
        limb: frame * K + limb.
        t, e, v: place on the limb, see `Limbs`.
    """

    pixel: np.ndarray
    limb: np.ndarray
    t: np.ndarray
    e: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Paint:
    """Pixels that limbs tint, each once.

    Attributes:
        pixel: N.
        colour: N 3, 0..255, times `cover`.
        cover: N, 0..1.
    """

    pixel: np.ndarray
    colour: np.ndarray
    cover: np.ndarray


class Skin:
    """What colours limbs F K.

    Args:
        limbs: all limbs of a frame belong to person k // 16.
        atlas: I 16 2 ROWS COLUMNS 3, see `Identities`.
        person: F P, who.
        lit: the lamp shades them.
    """

    def __init__(self, limbs: Limbs, atlas: np.ndarray, person: np.ndarray, lit: bool = True) -> None:
        self.lit = lit
        self.texels = atlas.reshape(-1, 3)
        kinds = len(LIMBS)
        kind = person[:, :, None] * kinds + np.arange(kinds)  # F P 16
        self.first_texel = (kind.reshape(-1) * (2 * ROWS * COLUMNS)).astype(np.int32)
        self.c, self.d = limbs.c.ravel(), limbs.d.ravel()

    def colour(self, limb: np.ndarray, t: np.ndarray, e: np.ndarray, v: np.ndarray) -> np.ndarray:
        """N 3 in 0..255: bilinear between texels."""
        c, d = self.c[limb], self.d[limb]
        w = np.sqrt(1 - v * v)
        across = v * c - w * d
        behind = v * d + w * c < 0
        row = (t + e + 1) * np.float32(ROWS / 3)
        column = np.clip(across * np.float32(COLUMNS / 2) + np.float32(COLUMNS / 2 - 0.5), 0, COLUMNS - 1)
        row = np.clip(row, 0, ROWS - 1)
        r, k = np.minimum(row.astype(np.int32), ROWS - 2), np.minimum(column.astype(np.int32), COLUMNS - 2)
        down, right = (row - r)[:, None], (column - k)[:, None]
        texel = self.first_texel[limb] + behind * np.int32(ROWS * COLUMNS) + r * np.int32(COLUMNS) + k
        upper = self.texels[texel]
        upper += (self.texels[texel + 1] - upper) * right
        lower = self.texels[texel + COLUMNS]
        lower += (self.texels[texel + COLUMNS + 1] - lower) * right
        upper += (lower - upper) * down
        if not self.lit:
            return upper
        light = np.float32(AMBIENT) + np.float32(DIFFUSE) * w * np.sqrt(1 - e * e)
        return np.minimum(upper * light[:, None], np.float32(255))


def layers(found: Fragments, skin: Skin) -> tuple[Surface, Paint]:
    """The nearest limb of each pixel's centre, and what the limbs add to the picture."""
    near, first = order(found)
    inside = near[found.cover[near] > 0.5]
    inside = inside[firsts(found.pixel[inside])]
    surface = Surface(found.pixel[inside], found.limb[inside], found.t[inside], found.e[inside], found.v[inside])

    at = np.flatnonzero(first)
    top = near[at]
    left = 1 - found.cover[top]  # what the layers so far let through
    colour = skin.colour(found.limb[top], found.t[top], found.e[top], found.v[top]) * found.cover[top][:, None]
    open_ = np.flatnonzero(left > 0)  # most pixels are closed by their first layer
    for layer in range(1, LAYERS):
        below = at[open_] + layer
        more = below < len(near)
        more[more] = ~first[below[more]]
        open_, below = open_[more], near[below[more]]
        cover = found.cover[below] * left[open_]
        shade = skin.colour(found.limb[below], found.t[below], found.e[below], found.v[below])
        colour[open_] += shade * cover[:, None]
        left[open_] -= cover
    return surface, Paint(found.pixel[top], colour, 1 - left)
