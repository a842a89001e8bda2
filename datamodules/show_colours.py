"""Colours of what is not a picture: numbered things, joints and flow."""

import colorsys

import numpy as np

GOLDEN = 0.618034  # hues so far apart, as shares of the wheel, that few successive ones come close


def palette(count: int) -> np.ndarray:
    """uint8 count 3: black for 0, then colours of which neighbours differ, and any two of the first 35.

    Hues 21 numbers apart are almost one (21 is a Fibonacci number), so saturation and brightness change as well, with
    periods that do not divide it together.
    """
    colours = [
        colorsys.hsv_to_rgb(i * GOLDEN % 1, (1, 0.55)[i % 2], (1, 0.8, 0.6)[i // 2 % 3]) for i in range(1, count)
    ]
    return _levels([(0, 0, 0), *colours])


def hues(count: int) -> np.ndarray:
    """uint8 count 3: bright colours, to be seen on dark pictures."""
    return _levels([colorsys.hsv_to_rgb(i * GOLDEN % 1, 0.65, 1) for i in range(1, count + 1)])


def flow_colours(flow: np.ndarray, largest: float) -> np.ndarray:
    """Direction as hue, length as saturation: standing still is white.

    Args:
        flow: ... 2 H W in pixels.
        largest: length in pixels that is fully saturated.

    Returns:
        uint8 ... H W 3.
    """
    x, y = np.moveaxis(flow, -3, 0)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1 * 6
    wheel = np.stack([np.clip(np.abs((hue + shift) % 6 - 3) - 1, 0, 1) for shift in (0, 4, 2)], -1)
    strength = np.clip(np.hypot(x, y) / max(largest, 1e-6), 0, 1)[..., None]
    return np.rint(255 * (1 - strength * (1 - wheel))).astype(np.uint8)


def _levels(colours: list[tuple[float, float, float]]) -> np.ndarray:
    return np.rint(255 * np.array(colours)).astype(np.uint8)
