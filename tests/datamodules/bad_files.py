"""Every way we know in which video files are broken or odd: `python -m tests.datamodules.bad_files FOLDER`.

Writes the files, and a manifest of them, into a new folder and prints what `reelbench data check` says of each as the
table of `docs/results/data.md`.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from experiments import data
from tests.datamodules.strip_files import noise_video, save_strip
from tests.datamodules.test_broken_videos import CUT, UNUSABLE, mjpeg
from tests.datamodules.test_video_formats import FAST, SOUND
from tests.datamodules.video_files import (
    FRAMES,
    SIDE,
    copy_stream,
    cut,
    flip_bits,
    marked,
    with_matrix,
    write_audio,
    write_video,
)

Make = Callable[[Path], object]


def claiming(path: Path, frames: int) -> Path:
    """An avi whose header names another number of frames than its 30."""
    path.write_bytes(mjpeg(path).read_bytes().replace(FRAMES.to_bytes(4, "little"), frames.to_bytes(4, "little")))
    return path


def after(make: Callable[[Path], Path], change: Callable[[Path, Path], object]) -> Make:
    """Changes a file that is written beside and removed."""

    def made(path: Path) -> None:
        whole = make(path.with_name(f"whole {path.name}"))
        change(whole, path)
        whole.unlink()

    return made


def damaged(codec: str, options: dict[str, str]) -> Make:
    """A noisy video with flipped bits: of a flat one too few bits matter."""
    noise = np.random.default_rng(0).integers(0, 40, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    return after(
        lambda p: write_video(p, marked() + noise, codec, options=options), lambda a, b: flip_bits(a, b, count=10)
    )


def cut_off(name: str) -> Make:
    make, share, _ = CUT[name]
    return after(make, lambda whole, path: cut(whole, path, share))


def clear(codec: str, pixels: str, options: dict[str, str] | None = None) -> Make:
    alpha = np.full((FRAMES, SIDE, SIDE, 1), 128, dtype=np.uint8)
    return lambda p: write_video(p, np.concatenate([marked(), alpha], -1), codec, pixels, options=options)


def frame_files(path: Path, count: int, side: int = 16) -> None:
    for number in range(count):
        save_strip(path / f"{number}.png", marked(1, side, side, first=number))


def broken_frame(path: Path) -> None:
    frame_files(path, 3)
    (path / "2.png").write_bytes(b"?")


def still(path: Path) -> None:
    save_strip(path, marked(1), format="JPEG" if path.suffix == ".jpg" else "PNG")


COPY = {"bf": "0"}  # without B frames the first packets of a copy are those of the first frames
# What a row of the table is about, the file's name, and what writes it.
CASES: list[tuple[str, str, Make]] = [
    ("no such file", "missing.mp4", UNUSABLE["missing.mp4"][0]),
    ("a directory without pictures", "directory", UNUSABLE["empty folder"][0]),
    ("zero bytes", "empty.mp4", UNUSABLE["empty.mp4"][0]),
    ("text", "text.mp4", UNUSABLE["text.mp4"][0]),
    ("random bytes", "random.mp4", UNUSABLE["random.mp4"][0]),
    ("cut off, index at the end", "no index.mp4", UNUSABLE["no index.mp4"][0]),
    ("cut within the index", "cut in its index.mp4", UNUSABLE["cut in its index.mp4"][0]),
    ("header only", "header only.mkv", UNUSABLE["header only.mkv"][0]),
    ("header only", "header only.avi", UNUSABLE["header only.avi"][0]),
    ("audio only", "sound only.mp4", write_audio),
    ("cut off, index at the start", "cut faststart.mp4", cut_off("faststart.mp4")),
    ("cut off, fragments", "cut fragmented.mp4", cut_off("fragmented.mp4")),
    ("cut off between frames, fragments", "cut between frames.mp4", cut_off("fragmented between frames.mp4")),
    ("cut off", "cut within a picture.avi", cut_off("within a picture.avi")),
    ("cut off between frames", "cut between pictures.avi", cut_off("between pictures.avi")),
    ("cut off", "cut.mkv", cut_off("h264.mkv")),
    ("cut off", "cut.webm", cut_off("vp9.webm")),
    ("cut off", "cut.gif", cut_off("animation.gif")),
    ("cut off", "cut.h264", cut_off("raw.h264")),
    ("flipped bits, H.264", "flipped.mp4", damaged("libx264", {})),
    ("flipped bits, MPEG-4", "flipped.avi", damaged("mpeg4", {"qmin": "1", "qmax": "2"})),
    ("header without a frame count", "uncounted.mkv", SOUND["h264.mkv"]),
    ("header without a frame count", "uncounted.webm", SOUND["vp9.webm"]),
    ("header without a frame count", "uncounted.mpg", SOUND["mpeg2.mpg"]),
    ("header without a frame count", "uncounted fragments.mp4", SOUND["fragmented.mp4"]),
    ("header two frames off", "claims 32.avi", lambda p: claiming(p, 32)),
    ("header far off", "claims 444.avi", lambda p: claiming(p, 444)),
    (
        "copy that starts between key frames",
        "copied.mp4",
        after(lambda p: write_video(p, gop=15, options=COPY), lambda a, b: copy_stream(a, b, first=5)),
    ),
    (
        "frames hidden by an edit list",
        "edited.mp4",
        after(lambda p: write_video(p, options=COPY), lambda a, b: copy_stream(a, b, earlier=10)),
    ),
    (
        "copy without a key frame",
        "no key frame.mkv",
        after(lambda p: write_video(p, options=COPY), lambda a, b: copy_stream(a, b, first=1)),
    ),
    ("variable frame rate", "variable rate.mp4", SOUND["variable rate.mp4"]),
    ("no time stamps", "raw.h264", SOUND["raw.h264"]),
    ("turned by 90 degrees", "turned.mp4", after(write_video, lambda a, b: with_matrix(a, b, 0, 1, -1, 0))),
    ("turned by 45 degrees", "askew.mp4", after(write_video, lambda a, b: with_matrix(a, b, 1, 1, -1, 1))),
    ("pixels of 16:11", "wide pixels.mp4", lambda p: write_video(p, aspect=Fraction(16, 11))),
    (
        "interlaced",
        "interlaced.mpg",
        lambda p: write_video(p, codec="mpeg2video", options={"flags": "+ildct+ilme"}),
    ),
    ("63 x 65 pixels, 4:4:4", "odd size.mp4", SOUND["odd size.mp4"]),
    ("63 x 65 pixels, 4:2:0", "odd size.webm", SOUND["odd size.webm"]),
    ("grey", "grey.mp4", SOUND["grey.mp4"]),
    ("grey, 16 bits", "grey of 16 bits.mkv", SOUND["grey of 16 bits.mkv"]),
    ("10 bits, H.264", "ten bits.mp4", SOUND["ten bits.mp4"]),
    ("10 bits, HEVC", "ten bits h265.mp4", SOUND["ten bits h265.mp4"]),
    ("full range", "mjpeg.avi", SOUND["mjpeg.avi"]),
    ("HEVC", "h265.mp4", SOUND["h265.mp4"]),
    ("VP8", "vp8.webm", SOUND["vp8.webm"]),
    ("GIF", "animation.gif", SOUND["animation.gif"]),
    ("huffyuv", "huffyuv.avi", SOUND["huffyuv.avi"]),
    ("rawvideo", "raw.avi", SOUND["raw.avi"]),
    ("MS-MPEG-4", "msmpeg4.avi", SOUND["msmpeg4.avi"]),
    (
        "AV1",
        "av1.mp4",
        lambda p: write_video(p, codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"}),
    ),
    ("transparency, VP9", "clear.webm", clear("libvpx-vp9", "yuva420p", FAST)),
    ("transparency, RGBA", "clear.mov", clear("qtrle", "argb")),
    ("cover picture beside the film", "cover art.mp4", SOUND["cover art.mp4"]),
    ("cover picture before the film", "cover art first.mp4", SOUND["cover art first.mp4"]),
    ("another container than its suffix", "webm.avi", SOUND["suffix of another kind.avi"]),
    ("still picture", "still.png", still),
    ("still picture", "still.jpg", still),
    ("strip of 9 frames", "strip.png", lambda p: save_strip(p, noise_video(0, 9))),
    ("folder of 9 frames", "frames", lambda p: frame_files(p, 9)),
    ("folder with a broken frame", "broken frame", broken_frame),
    ("one frame", "one frame.mp4", lambda p: write_video(p, marked(1))),
    ("fewer frames than the table asks for", "short.mp4[0:40]", lambda p: write_video(p)),
]
HEAD = "| case | file | status | frames | what the reader says |\n| --- | --- | --- | ---: | --- |\n"


def write(folder: Path) -> None:
    """All files of `CASES`, and a manifest that names them."""
    folder.mkdir(parents=True)
    rows = ["path,start,end"]
    for _, name, make in CASES:
        file, _, part = name.partition("[")
        make(folder / file)
        rows.append(",".join([file, *(part.rstrip("]").split(":") if part else ["", ""])]))
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def rows(folder: Path) -> Iterator[str]:
    """A line of the table for each case, as `reelbench data check` says it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        data.main(["check", str(folder), "--json"])
    for (case, name, _), found in zip(CASES, json.loads(out.getvalue())["files"], strict=True):
        assert found["path"] == str(folder / name)
        yield f"| {case} | `{name}` | {found['status']} | {found['frames']} | {found['reason']} |"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(HEAD + "\n".join(rows(Path(sys.argv[1]))))
