"""Whether a file that decoded without an error is whole: FFmpeg is silent about most files that were cut off."""

from pathlib import Path
from typing import NamedTuple

SLACK = 0.02  # share of the frames that a sound file's header may be off by, and at least 2 frames
GIF_END = b"\x3b"


class Claims(NamedTuple):
    """What the header says.

    Attributes:
        container: FFmpeg's name of the format.
        frames: None where the header does not say.
        seconds: duration; from zero in Matroska, from the first frame in mp4.
        start: time of the first frame in seconds.
    """

    container: str
    frames: int | None
    seconds: float | None
    start: float


def missing(claims: Claims, decoded: int, end: float, step: float, path: Path) -> str | None:
    """Why frames are missing at the end, or None.

    Which claim can be trusted depends on the container. An avi's duration is guessed again from what is there, its
    frame count is not. An mp4 may hide frames by an edit list, so its count counts only where its duration agrees; its
    boxes say where they end. Matroska names a duration only. GIF names nothing, but ends with a mark. Other formats
    make no claim.

    Args:
        claims: of the header.
        decoded: frames that decoded.
        end: when the last of them ends, in seconds.
        step: seconds that a frame lasts.
        path: the file.
    """
    allowed = max(2.0, SLACK * (claims.frames or decoded))
    fewer = claims.frames is not None and decoded < claims.frames - allowed
    if "avi" in claims.container and fewer:
        return f"cut off: the header names {claims.frames} frames, {decoded} decode"
    if "mp4" in claims.container and (box := _open_box(path)):
        return f"cut off: the file ends within its `{box}` box, {decoded} frames decode"
    if "mp4" in claims.container and fewer and _ends_early(end - claims.start, claims.seconds, allowed * step):
        return f"cut off: the header names {claims.frames} frames, {decoded} decode"
    if "matroska" in claims.container and _ends_early(end, claims.seconds, allowed * step):
        return f"cut off: the header names {claims.seconds:.2f} s, {decoded} frames end at {end:.2f} s"
    if claims.container == "gif" and not _ends_with(path, GIF_END):
        return f"cut off: {decoded} frames decode, but the mark at the end of a GIF is missing"
    return None


def tag_seconds(tag: str | None) -> float | None:
    """Matroska's DURATION tag, as `00:00:02.000000000`."""
    try:
        hours, minutes, seconds = (tag or "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _open_box(path: Path) -> str | None:
    """The name of the mp4 box that is longer than the rest of the file."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if not name.isalnum() or length == 0:
                return None  # something behind the boxes, or a last box without a length
            if length < 8 or at + length > size:
                return name.decode("ascii", "replace")
            at += length
    return None


def _ends_early(end: float, seconds: float | None, slack: float) -> bool:
    return seconds is not None and end < seconds - slack


def _ends_with(path: Path, mark: bytes, tail: int = 16) -> bool:
    """Whether the last bytes, zeros after them aside, are `mark`."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - tail, 0))
        return file.read().rstrip(b"\0").endswith(mark)
