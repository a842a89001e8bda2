"""The digits that one split moves: drawn ones, or a part of MNIST. No digit is in two splits."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from datamodules.stream import keyed_rng
from datamodules.synthetic.digit_files import idx_digits, npz_digits
from datamodules.synthetic.glyphs import drawn_digits

Digits = Literal["drawn", "mnist10k", "mnist"]

DRAWN = {"train": 5000, "val": 500, "test": 1000}
VAL, TEST = 0.05, 0.1  # shares of real digits: of MNIST's training part, where its own test part is at hand


@dataclass(frozen=True)
class DigitPool:
    """Digits of one split.

    Attributes:
        images: uint8 N S S, white on black.
        labels: int64 N, 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray

    @property
    def digest(self) -> str:
        """Of images and labels."""
        digest = hashlib.blake2b(repr(self.images.shape).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(self.images).tobytes() + self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def resized(self, side: int) -> "DigitPool":
        """Every digit at side x side by Pillow's bilinear filter, which is what the official loader uses."""
        if side == self.images.shape[1]:
            return self
        return DigitPool(_columns_resized(_columns_resized(self.images, side), side), self.labels)


def digit_pool(digits: Digits, split: str, seed: int, root: str | None = None) -> DigitPool:
    """The digits of `split`, 28x28.

    Drawn digits are drawn anew for each split and seed. `mnist` takes the test split from MNIST's test part and 0.05 of
    the training part for val (SRVP's share); `mnist10k`, which is of the training part alone, is divided 0.85 / 0.05 /
    0.1 by a fixed permutation.

    Raises:
        BenchError: real digits are missing or damaged.
    """
    if digits == "drawn":
        return DigitPool(*drawn_digits(DRAWN[split], seed, split))
    if digits == "mnist":
        images, labels = idx_digits(root, "test" if split == "test" else "train")
        if split == "test":
            return DigitPool(images, labels)
        test = 0
    else:
        images, labels = npz_digits(root)
        test = round(TEST * len(images))
    order = keyed_rng("digit split", len(images)).permutation(len(images))
    val = round(VAL * (len(images) - test))
    parts = {"test": order[:test], "val": order[test : test + val], "train": order[test + val :]}
    chosen = np.sort(parts[split])
    return DigitPool(images[chosen], labels[chosen])


def _columns_resized(images: np.ndarray, width: int) -> np.ndarray:
    """N H W -> N `width` H: all images one below the other resized along W at once, then transposed.

    Pillow resizes along the width first and rounds in between, so twice this equals resizing image by image.
    """
    count, height, columns = images.shape
    tall = Image.fromarray(np.ascontiguousarray(images).reshape(count * height, columns))
    wide = np.asarray(tall.resize((width, count * height), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(wide.reshape(count, height, width).transpose(0, 2, 1))
