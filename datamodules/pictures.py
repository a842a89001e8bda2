"""Still pictures by Pillow: opened whatever their size, with decoders' many errors in one."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from datamodules.bad_files import BadFile, DroppedFile

# Which files are tried; their content decides the format.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp")
# Modes of more than 8 bits, with their variants such as I;16: turned into 8 bits they would be clipped.
DEEP = ("I", "F")
_LIMIT = threading.Lock()  # Pillow's limit is the process's, and several threads open pictures


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image, without Pillow's limit of 179 million pixels: 43,690 frames of 64x64.

    Raises:
        BadFile: not an image, or broken.
    """
    try:
        with _without_limit(path) as image:
            yield image
    except (BadFile, DroppedFile, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise BadFile(f"not an image that Pillow knows ({path.stat().st_size} bytes)") from error
    except Exception as error:  # decoders meet broken bytes with exceptions of many kinds
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadFile(f"not a readable image: {reason}") from error


def _without_limit(path: Path) -> Image.Image:
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def require_8_bits(image: Image.Image) -> None:
    """Raises `BadFile` where a channel has more."""
    if image.mode.split(";")[0] in DEEP:
        raise BadFile(f"mode {image.mode} has more than 8 bits a channel; save it with 8")
