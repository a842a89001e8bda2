"""What `reelbench surprise` draws."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from metrics.surprise import Surprise

WIDTH, HEIGHT, SCALE = 480, 280, 2
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 30, 40
INK, MUTED, LINE, BAND = (30, 30, 36), (110, 110, 120), (26, 92, 168), (201, 219, 240)
BAND_ERRORS = 1.96


def picture(found: Surprise, events: str) -> np.ndarray:
    """The mean by distance from an event with a band of 95 %, and the mean elsewhere as a dashed line.

    Args:
        events: what happens, for the labels.

    Returns:
        uint8 H W 3.
    """
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11 * SCALE)
    around = zip(found.offsets, found.around, strict=True)
    points = [(o, m.value, BAND_ERRORS * (m.standard_error or 0)) for o, m in around if m.value is not None]
    elsewhere = found.elsewhere.value or 0.0
    low = min([elsewhere, *(value - band for _, value, band in points)])
    high = max([elsewhere, *(value + band for _, value, band in points)])
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    reach = max(1, found.offsets[-1])

    def place(offset: float, value: float) -> tuple[float, float]:
        across = LEFT + (offset + reach) / (2 * reach) * (WIDTH - LEFT - RIGHT)
        return across * SCALE, (TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)) * SCALE

    outline = [place(o, v + b) for o, v, b in points] + [place(o, v - b) for o, v, b in reversed(points)]
    if len(points) > 1:
        draw.polygon(outline, fill=BAND)
    for value in np.linspace(low, high, 5)[1:-1]:
        draw.text((place(-reach, value)[0] - 6 * SCALE, place(0, value)[1]), f"{value:.4g}", MUTED, font, "rm")
    draw.line([place(-reach, low), place(-reach, high)], MUTED, SCALE)
    draw.line([place(-reach, low), place(reach, low)], MUTED, SCALE)
    for offset in found.offsets:
        draw.text((place(offset, low)[0], place(0, low)[1] + 5 * SCALE), str(offset), MUTED, font, "mt")
    at, y = place(-reach, elsewhere)
    while at < place(reach, elsewhere)[0]:  # dashes
        draw.line([(at, y), (at + 5 * SCALE, y)], MUTED, SCALE)
        at += 9 * SCALE
    line = [place(o, v) for o, v, _ in points]
    draw.line(line, LINE, 2 * SCALE)
    for x, y in line:
        draw.ellipse([x - 3 * SCALE, y - 3 * SCALE, x + 3 * SCALE, y + 3 * SCALE], fill=LINE)
    title = f"uncertainty around {found.events} {events} in {found.clips} clips; dashed: elsewhere"
    draw.text((LEFT * SCALE, 10 * SCALE), title, INK, font)
    draw.text(((LEFT + WIDTH - RIGHT) / 2 * SCALE, (HEIGHT - 6) * SCALE), "frames from the event", INK, font, "mb")
    return np.asarray(image)
