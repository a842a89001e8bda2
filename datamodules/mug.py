"""MUG facial expressions (Aifanti, Papachristou, Delopoulos, WIAMIS 2010): takes as folders of 896x896 JPEG frames."""

from pathlib import Path
from typing import Any

from datamodules.bad_files import log
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.published import Published, PublishedVideos, Video, folders
from datamodules.reading.frame_folder import natural

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SIX = tuple(name for name in EXPRESSIONS if name != "neutral")
UNUSABLE = "nsg"  # in the name of a take that its authors declare unusable

PUBLISHED = Published(
    title="MUG",
    folder="mug",
    origin="https://mug.ee.auth.gr/fed/, after signing its licence: the sequences of the subjects, subjects3",
    tree=(
        "subjects3/001/{anger,disgust,fear,happiness,neutral,sadness,surprise}/take000/img_0000.jpg",
        "(or subjects3/001/001/...: some subjects are unpacked into a folder within theirs)",
    ),
)


class Mug(PublishedVideos):
    """MUG. Attributes: `category` (place in `expressions`), `subject` (its folder's number).

    MoCoGAN: six expressions, videos of at least 64 frames, faces cropped to 96x96, 1,254 videos (recalled; its code
    makes 64x64). The crop is not told, so the whole picture is used. No split is published: people are held out.

    Args:
        expressions: which are read; None takes the six of MoCoGAN, without `neutral`.
        min_frames: shorter takes are dropped and counted; 64 as in MoCoGAN.
        val, test: shares of the people.
    """

    published = PUBLISHED

    def __init__(
        self,
        expressions: list[str] | None = None,
        min_frames: int = 64,
        val: float = 0.1,
        test: float = 0.1,
        **common: Any,
    ) -> None:
        super().__init__(min_frames=min_frames, val=val, **common)
        self.categories, self.test = tuple(expressions or SIX), test
        unknown = sorted(set(self.categories) - set(EXPRESSIONS))
        if unknown:
            raise BenchError(f"data.init_args.expressions: {unknown} are none of {', '.join(EXPRESSIONS)}")

    def list_videos(self, root: Path) -> list[Video]:
        """One video a take, except those that are declared unusable."""
        base = root if root.name == "subjects3" else root / "subjects3"
        subjects = [name for name in folders(base) if name.isdecimal()]
        if not subjects:
            raise self.published.differs(base if base.is_dir() else root, "subjects3/001")
        videos, unusable = [], []
        for subject in subjects:
            inner = base / subject / subject
            place = inner if inner.is_dir() else base / subject
            for category, expression in enumerate(self.categories):
                for take in sorted(folders(place / expression), key=natural):
                    name = f"{subject}/{expression}/{take}"
                    attributes = {"category": category, "subject": int(subject)}
                    if UNUSABLE in take.lower():
                        unusable.append(name)
                    else:
                        videos.append(Video(Source(place / expression / take, name, attributes), subject))
        if unusable:
            log.info("MUG: %d takes with %s in their name are left out: they are not usable", len(unusable), UNUSABLE)
        for category, expression in enumerate(self.categories):
            if not any(video.source.attributes["category"] == category for video in videos):
                raise self.published.differs(base / subjects[0], f"{expression}/take000 (also of every other subject)")
        return videos

    def split_rule(self) -> str:
        """For messages."""
        return f"{super().split_rule()} and test={self.test}, shares of the people"
