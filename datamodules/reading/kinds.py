"""What a path holds, by its first bytes: suffixes lie (the Weizmann strips are PNG files named .jpg)."""

from pathlib import Path
from typing import Literal

from datamodules.bad_files import BadFile

Kind = Literal["folder", "picture", "array", "video"]

PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"P5", b"P6")
ARRAYS = (b"\x93NUMPY", b"PK\x03\x04")
# Containers that announce themselves. Others, such as raw MPEG-4, need their suffix to be found in a folder.
VIDEOS = (
    b"\x1a\x45\xdf\xa3",
    b"GIF8",
    b"\x00\x00\x01\xba",
    b"\x00\x00\x01\xb3",
    b"\x00\x00\x00\x01",
    b"\x00\x00\x01\x67",
)
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".m2v", ".ts", ".mts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".h264", ".264", ".h265", ".hevc", ".mjpeg", ".y4m", ".npy", ".npz"),
)
HEAD = 16


def kind_of(path: Path) -> Kind:
    """What to open `path` as; everything unknown is left to FFmpeg.

    Raises:
        BadFile: it cannot be read.
    """
    return known_kind(path) or "video"


def known_kind(path: Path) -> Kind | None:
    """The kind that the content shows, None where its first bytes are of no known kind."""
    if path.is_dir():
        return "folder"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise BadFile(str(error.strerror)) from error
    riff = head[8:12] if head.startswith(b"RIFF") else b""
    if head.startswith(PICTURES) or riff == b"WEBP":
        return "picture"
    if head.startswith(ARRAYS):
        return "array"
    if head.startswith(VIDEOS) or riff == b"AVI " or head[4:8] in MP4_BOXES:
        return "video"
    return None
