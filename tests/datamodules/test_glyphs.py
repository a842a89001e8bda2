import hashlib

import numpy as np
from scipy import ndimage

from datamodules.synthetic.glyph_strokes import STYLES
from datamodules.synthetic.glyphs import drawn_digits

EIGHT = np.ones((3, 3))


def holes(image: np.ndarray) -> int:
    """Dark areas that ink encloses."""
    return int(ndimage.label(image < 64)[1]) - 1


def test_thousands_of_different_digits_of_every_kind() -> None:
    images, digits = drawn_digits(5000, "some", "key")
    assert images.shape == (5000, 28, 28) and images.dtype == np.uint8 and digits.dtype == np.int64
    assert len({image.tobytes() for image in images}) == 5000
    assert np.bincount(digits).min() > 400 and len(STYLES) == 10


def test_glyphs_depend_on_key_and_number_alone() -> None:
    few, some = drawn_digits(20, 3, "train"), drawn_digits(60, 3, "train")
    np.testing.assert_array_equal(few[0], some[0][:20])
    np.testing.assert_array_equal(few[1], some[1][:20])
    assert (drawn_digits(20, 4, "train")[0] != few[0]).any() and (drawn_digits(20, 3, "val")[0] != few[0]).any()
    assert not few[0].flags.writeable  # shared between calls


def test_pixels_are_the_same_on_every_machine() -> None:
    """Their digest is part of split digests, and with them of protocols."""
    images, digits = drawn_digits(200, 0, "train")
    digest = hashlib.sha256(images.tobytes() + digits.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "f9ff698d2dab0e55"


def test_ink_lies_in_a_box_of_20_pixels_amid_dark() -> None:
    images, _ = drawn_digits(2000, "box")
    lit_pixels = np.greater(images, 0)
    for lit in (lit_pixels.any(2), lit_pixels.any(1)):
        first, last = lit.argmax(1), 27 - lit[:, ::-1].argmax(1)
        extent = last - first + 1
        assert extent.max() <= 22  # 20, and a soft edge of up to one pixel on either side
        assert first.min() >= 2 and last.max() <= 25
        assert np.abs((first + last) / 2 - 13.5).max() <= 1.5
    tall = lit_pixels.any(2).sum(1)
    assert np.median(tall) in (20, 21)


def test_every_digit_is_one_piece_with_its_holes() -> None:
    images, digits = drawn_digits(3000, "pieces")
    pieces = np.array([ndimage.label(image > 64, EIGHT)[1] for image in images])
    assert (pieces == 1).mean() > 0.97
    usual = {0: 1, 1: 0, 3: 0, 5: 0, 7: 0, 8: 2}  # of the others some styles have one and some none
    for digit, expected in usual.items():
        found = np.array([holes(image) for image in images[digits == digit]])
        assert (found == expected).mean() > 0.8, (digit, np.bincount(found))


def test_a_stroke_is_as_wide_as_the_pen() -> None:
    """Bars of the digit 1 that stand almost upright: ink per row is the pen's diameter."""
    images, digits = drawn_digits(5000, "width")
    ink = images[digits == 1][:, 12:16].astype(float).sum(2).mean(1) / 255
    # From 2 x 0.95 upright to 2 x 1.9 / cos(37 degrees), the steepest slant that shear, turn and jitter give together.
    assert 1.8 < ink.min() < 2.2 and 3.8 < ink.max() < 4.8


def test_classes_can_be_told_apart() -> None:
    """The nearest of the first 2,000 glyphs, by pixels, names the digit of further ones."""
    images, digits = drawn_digits(2400, "classes")
    rows = ndimage.gaussian_filter(images.astype(np.float32), (0, 1, 1)).reshape(len(images), -1)
    train, test = rows[:2000], rows[2000:]
    distance = (train**2).sum(1) - 2 * test @ train.T
    assert (digits[distance.argmin(1)] == digits[2000:]).mean() > 0.97
