"""Whether what a file holds is what was encoded: compression and halved colours move metrics."""

import av
from PIL import Image

# Codecs that give back the bytes they were given. GIF's is one, but its 256 colours are not those of the video.
LOSSLESS = frozenset(
    ("ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "png", "apng", "qtrle", "zlib", "bmp", "v210")
)
GREY = ("gray", "mono", "ya", "pal8")
PICTURES = ("JPEG", "MPO", "WEBP", "GIF")  # WebP may be lossless, which its header tells Pillow alone


def of_codec(codec: str, pixels: str | None) -> str | None:
    """How a video lost colours or detail: `h264 yuv420p`; None where codec and pixel format keep RGB and grey."""
    kept = codec in LOSSLESS and (pixels is None or pixels.startswith(GREY) or av.VideoFormat(pixels).is_rgb)
    return None if kept else f"{codec} {pixels}" if pixels else codec


def of_picture(image: Image.Image) -> str | None:
    """The format's name where it is one that loses detail."""
    return image.format if image.format in PICTURES else None
