"""Colours of joints in the label pictures of Everybody Dance Now, RGB as they stand in the files."""

import colorsys

import numpy as np

Colour = tuple[int, int, int]

COCO_18_COLOURS: tuple[Colour, ...] = (
    (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85), (0, 255, 0), (85, 255, 0),
    (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (255, 0, 85), (255, 0, 170), (255, 0, 255),
    (170, 0, 255), (85, 0, 255),
)  # fmt: skip

BODY_25_COLOURS: tuple[Colour, ...] = (
    (85, 0, 255), (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85), (0, 255, 0),
    (0, 0, 255), (85, 255, 0), (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (170, 0, 255),
    (255, 0, 170), (255, 0, 255), (255, 0, 85),
    (255, 0, 0), (255, 0, 0), (255, 0, 0), (255, 255, 0), (255, 255, 0), (255, 255, 0),
)  # fmt: skip

# The published table has 212.5 where 212 stands; drawing rounds it to the even neighbour.
BODY_23_COLOURS: tuple[Colour, ...] = (
    (0, 0, 255), (0, 55, 255), (0, 110, 255), (0, 165, 255), (0, 215, 255), (0, 235, 255), (0, 255, 255), (0, 0, 255),
    (0, 255, 175), (0, 255, 85), (0, 255, 0), (85, 255, 0), (170, 255, 0), (128, 25, 25), (255, 85, 0), (255, 170, 0),
    (255, 212, 0), (255, 255, 0), (0, 0, 255), (255, 0, 255), (238, 130, 238), (226, 43, 138), (130, 0, 75),
)  # fmt: skip


def _rainbow(first: Colour, last: Colour, count: int) -> tuple[Colour, ...]:
    """Evenly from one colour to another through all hues."""
    ends = np.array([colorsys.rgb_to_hsv(*(value / 255 for value in reversed(end))) for end in (first, last)])
    steps = ends[0] + np.linspace(0, 1, count)[:, None] * (ends[1] - ends[0])
    blue_first = np.rint(255 * np.array([colorsys.hsv_to_rgb(*step) for step in steps])).astype(int)[:, ::-1]
    return tuple((int(r), int(g), int(b)) for r, g, b in blue_first)


# Of the published table only the two ends are known here; the official one is another rainbow between them. Labels that
# shall equal official ones are drawn with `EdnStyle.hand_colours`.
HAND_COLOURS = _rainbow((40, 53, 230), (145, 102, 255), 21)
