"""Who is drawn: skin, hair, clothes as one small texture a limb, and proportions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from datamodules.stream import keyed_rng
from datamodules.synthetic.puppet.body import LIMB_LENGTH, LIMB_RADII, LIMBS

Texture = Literal["cloth", "smooth"]
PATTERNS = 6  # of cloth on the torso
ROWS, COLUMNS = 24, 16  # along a limb: 8 on one cap, 8 on the shaft, 8 on the other cap; across each of its two sides
# Pixels, standard deviation of the blur that textures get before they are drawn: what is finer than the pixels would
# flicker as it moves (at 64 pixels an arm's texture has five texels a pixel).
BLUR = 0.7
# t + e up to which sleeves or trousers, short, half or long, cover a limb
COVERED = {
    "upper_arm": (-0.1, 0.6, 3.0),
    "lower_arm": (-2.0, -2.0, 0.95),
    "thigh": (0.65, 3.0, 3.0),
    "shin": (-2.0, 0.35, 3.0),
}
SKIN = np.array([[0.98, 0.84, 0.73], [0.93, 0.73, 0.58], [0.80, 0.58, 0.42], [0.58, 0.39, 0.27], [0.38, 0.25, 0.18]])
HAIR = np.array([[0.10, 0.08, 0.07], [0.27, 0.16, 0.09], [0.45, 0.28, 0.14], [0.80, 0.64, 0.36], [0.55, 0.55, 0.56]])


@dataclass(frozen=True)
class Identities:
    """I persons.

    Attributes:
        atlas: I 16 2 ROWS COLUMNS 3 float32 in 0..255: front and back of each limb. Row r shows t + e = 3 r / ROWS - 1,
            column c the direction across = 2 (c + 0.5) / COLUMNS - 1.
        factors: I 4, length factors of arms, legs, torso, and 1.
        width: I, factor of the radii.
        lit: the lamp shades them; otherwise a point keeps its brightness however it turns.
    """

    atlas: np.ndarray
    factors: np.ndarray
    width: np.ndarray
    lit: bool


def draw_identities(keys: list[tuple[int | str, ...]], texture: Texture, scale: float) -> Identities:
    """A person a key, each a function of its key and of the scale alone.

    Args:
        scale: pixels a metre, for which textures are made.
    """
    persons = [_person(keyed_rng("puppet identity", *key), texture) for key in keys]
    atlas, factors, width = zip(*persons, strict=True)
    blurred = prefiltered(np.stack(atlas), scale).astype(np.float32)
    return Identities(blurred, np.stack(factors), np.array(width), lit=texture == "cloth")


def prefiltered(atlas: np.ndarray, scale: float) -> np.ndarray:
    """I 16 2 ROWS COLUMNS 3 without what is finer than pixels: a Gaussian of `BLUR` on the limbs' surfaces.

    Distances are those of a limb of common length and width that is seen from aside, in the middle of what is seen.
    """
    out = np.empty_like(atlas)
    along = np.arange(ROWS) * 3 / ROWS - 1
    for limb, (length, radii) in enumerate(zip(LIMB_LENGTH, LIMB_RADII, strict=True)):
        radius = float(radii.mean()) * scale
        # Caps are as long as the limb is wide.
        row = np.where(along < 0, radius * along, np.where(along < 1, length * scale * along, 0))
        row = np.where(along < 1, row, length * scale + radius * (along - 1))
        down = _gaussian(np.abs(row[:, None] - row), np.gradient(row))
        steps = np.abs(np.subtract.outer(np.arange(2 * COLUMNS), np.arange(2 * COLUMNS)))
        around = _gaussian(np.minimum(steps, 2 * COLUMNS - steps) * (2 * radius / COLUMNS), np.ones(2 * COLUMNS))
        # Over the front, then over the back from where they meet.
        ring = np.concatenate([atlas[:, limb, 0], atlas[:, limb, 1, :, ::-1]], axis=2)
        ring = np.einsum("rs,cd,isdx->ircx", down, around, ring, optimize=True)
        out[:, limb, 0], out[:, limb, 1] = ring[:, :, :COLUMNS], ring[:, :, COLUMNS:][:, :, ::-1]
    return out


def _gaussian(distance: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Weights N N of samples that stand for stretches of `extent` N; distances in pixels."""
    weight = np.exp(-(distance**2) / (2 * BLUR**2)) * extent
    return weight / weight.sum(1, keepdims=True)


def _person(rng: np.random.Generator, texture: Texture) -> tuple[np.ndarray, np.ndarray, float]:
    factors, width = draw_proportions(rng)
    if texture == "smooth":
        return _waves(rng) * 255, factors, width
    wardrobe = Wardrobe(rng)
    sides = np.stack([wardrobe.limb(name) for name in LIMBS])
    return np.clip(sides + rng.normal(0, 0.012, sides.shape), 0, 1) * 255, factors, width


def draw_proportions(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Length factors of arms, legs, torso, and 1; the factor of the radii."""
    arm, leg, torso = rng.uniform(0.9, 1.1, 3)
    return np.array([arm, leg, torso, 1.0]), float(rng.uniform(0.88, 1.2))


class Wardrobe:
    """What one person wears."""

    def __init__(self, rng: np.random.Generator) -> None:
        colours = rng.random((4, 3)) * 0.85 + 0.08
        self.skin = SKIN[rng.integers(len(SKIN))] * rng.uniform(0.92, 1.04)
        self.hair = HAIR[rng.integers(len(HAIR))] * rng.uniform(0.8, 1.2)
        self.top, self.print, self.legs, self.shoes = colours
        self.shoes = self.shoes * 0.5
        self.pattern = int(rng.integers(PATTERNS))
        self.print_on_back = bool(rng.random() < 0.4)
        self.sleeves, self.trousers = int(rng.integers(3)), int(rng.integers(3))  # as in COVERED
        self.bald = bool(rng.random() < 0.08)
        self.fringe = float(rng.uniform(0.45, 0.8))  # where on the face's upper cap the hair begins
        # t + e and across of every texel
        self.along = (np.arange(ROWS)[:, None] * 3 / ROWS - 1) * np.ones((1, COLUMNS))
        self.across = (np.arange(COLUMNS)[None] + 0.5) * 2 / COLUMNS - 1 + np.zeros((ROWS, 1))

    def limb(self, name: str) -> np.ndarray:
        """2 ROWS COLUMNS 3 in 0..1."""
        kind = name.removeprefix("right_").removeprefix("left_")
        if kind == "face":
            return np.stack([self._face(), self._plain(self.skin if self.bald else self.hair)])
        if kind == "hair":
            return self._both(self.skin if self.bald else self.hair)
        if kind in ("chest", "belly"):
            front = self._cloth(kind)
            sides = np.stack([front, front if self.print_on_back else self._plain(self.top)])
            if kind == "belly":  # a belt, then what the legs wear
                sides = np.where((self.along < 0.12)[..., None], self.legs, sides)
                sides = np.where((np.abs(self.along - 0.12) < 0.07)[..., None], self.legs * 0.4, sides)
            return sides
        if kind in COVERED:
            length, cloth = (self.sleeves, self.top * 0.94) if "arm" in kind else (self.trousers, self.legs)
            return self._both(np.where((self.along < COVERED[kind][length])[..., None], cloth, self.skin))
        return self._both(self.shoes if kind == "foot" else self.skin)

    def _plain(self, colour: np.ndarray) -> np.ndarray:
        return np.broadcast_to(colour, (ROWS, COLUMNS, 3))

    def _both(self, side: np.ndarray) -> np.ndarray:
        return np.stack([np.broadcast_to(side, (ROWS, COLUMNS, 3))] * 2)

    def _cloth(self, kind: str) -> np.ndarray:
        along, across = self.along + (1 if kind == "chest" else 0), self.across
        marks = (
            np.zeros_like(along),
            (along * 3 % 1) < 0.5,  # stripes around
            (across * 2 % 1) < 0.4,  # stripes along
            ((np.floor(along * 3) + np.floor(across * 2)) % 2) > 0,  # checks
            (((along - 1.6) / 0.45) ** 2 + (across / 0.5) ** 2) < 1,  # an emblem on the chest
            along < 1.35,  # two halves
        )[self.pattern]
        return np.where(np.asarray(marks, dtype=bool)[..., None], self.print, self.top)

    def _face(self) -> np.ndarray:
        """Eyes, mouth, cheeks and hairline where the key-points have them: the upper cap begins at the eyes."""
        face = np.array(self._plain(self.skin))
        along, across = self.along, self.across
        eyes = ((np.abs(across) - 0.36) / 0.15) ** 2 + ((along - 1.24) / 0.1) ** 2 < 1
        brows = (np.abs(np.abs(across) - 0.36) < 0.2) & (np.abs(along - 1.45) < 0.06)
        mouth = (np.abs(across) < 0.3) & (np.abs(along - 0.38) < 0.13)
        nose = (np.abs(across) < 0.1) & (np.abs(along - 0.84) < 0.2)
        face = np.where(nose[..., None], self.skin * 0.82, face)
        face = np.where(mouth[..., None], np.array([0.68, 0.25, 0.26]) * (0.5 + self.skin / 2), face)
        face = np.where(eyes[..., None], np.array([0.09, 0.09, 0.12]), face)
        if not self.bald:
            face = np.where(brows[..., None], self.hair * 0.8, face)
            face = np.where((along > 1 + self.fringe)[..., None], self.hair, face)
        return face


def _waves(rng: np.random.Generator) -> np.ndarray:
    """A slope of colour along and across each limb, front and back alike so that they meet: for tests of the flow."""
    base, slope = rng.uniform(0.35, 0.65, (2, len(LIMBS), 1, 1, 1, 3))
    along = np.linspace(-1, 1, ROWS)[None, None, :, None, None]
    across = np.linspace(-1, 1, COLUMNS)[None, None, None, :, None]
    waves = base + (slope - 0.5) * 0.8 * along + 0.08 * across * np.ones((1, 2, 1, 1, 1))
    return np.clip(waves, 0, 1)
