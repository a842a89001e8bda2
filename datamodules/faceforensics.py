"""FaceForensics++ (Roessler et al., ICCV 2019): 1,000 videos of speaking faces, and the same manipulated."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from datamodules.cache_build import Reader
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.landmark_track import WithLandmarks
from datamodules.pose.skeletons import FACE_70
from datamodules.published import Published, PublishedVideos, Split, Video, entries, some

Kind = Literal["original", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"]
Compression = Literal["raw", "c23", "c40"]
NAME = re.compile(r"(\d{3})(?:_(\d{3}))?\.mp4")  # target, and for manipulated videos the source
VIDEOS = 1000  # of each kind

PUBLISHED = Published(
    title="FaceForensics++",
    folder="faceforensics",
    origin="https://github.com/ondyari/FaceForensics: the download script (after its form is signed) with `-t videos`, "
    "and the folder dataset/splits of the repository",
    tree=(
        "original_sequences/youtube/{raw,c23,c40}/videos/000.mp4",
        "manipulated_sequences/{Deepfakes,Face2Face,FaceSwap,NeuralTextures,FaceShifter}/{raw,c23,c40}/videos/000_003.mp4",
        "splits/{train,val,test}.json, lists of pairs of numbers",
    ),
)


class FaceForensics(PublishedVideos):
    """FaceForensics++ videos.

    Attributes: `category` (place in `sequences`), `subject` (whose video it is), `driver` (whose face or motion was put
    in; the subject itself where nothing was).

    The layout is recalled and agrees with code that reads the set; splits are the repository's lists of pairs. vid2vid
    used 854 videos of the first FaceForensics, whose layout is not read here, and TGANv2 crops of faces, which need the
    boxes of another set of files. Landmarks are not part of the set: they are read from where
    you put them, see `landmarks_folder`.

    Args:
        sequences: which kinds of videos.
        compression: `raw` (called c0 by the first downloads), `c23` or `c40`.
        landmarks: whether there is `pose`, 68 points of the face in each frame as the rows of face_70.
        edges: whether there is the `condition` that vid2vid makes faces of, drawn from them; see `pose.face_map`.

    Other arguments are those of `PublishedVideos`.
    """

    published = PUBLISHED
    skeleton: str | None = None

    def __init__(
        self,
        sequences: Sequence[Kind] = ("original",),
        compression: Compression = "c23",
        landmarks: bool = False,
        edges: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self._know_faces(landmarks, edges)
        self.categories, self.compression = tuple(sequences), compression
        unknown = sorted(set(self.categories) - set(get_args(Kind)))
        if unknown or not self.categories:
            raise BenchError(f"data.init_args.sequences: {unknown} are none of {', '.join(get_args(Kind))}")
        self.expected = VIDEOS * len(self.categories)

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Clips with attributes, and what of the faces was asked for."""
        faces = {"pose": init_args.get("landmarks"), "condition": init_args.get("edges")}
        return super().gives(**init_args) | {key for key, asked in faces.items() if asked}

    def _know_faces(self, landmarks: bool, edges: bool) -> None:
        self.landmarks, self.edges = landmarks, edges
        if edges and not landmarks:
            raise BenchError("data.init_args.edges is drawn from landmarks: set data.init_args.landmarks: true")
        if landmarks and self.fps is not None:
            raise BenchError(
                f"data.init_args.fps must be null with landmarks: true, found {self.fps}: landmarks belong to the "
                "frames of the file"
            )
        if landmarks:
            self.tracks |= {"pose", "condition"} if edges else {"pose"}
            self.skeleton, self.limbs = FACE_70.name, FACE_70.limbs

    def estimating_reader(self) -> Reader:
        """`reader`, with the flow and the landmarks asked for."""
        reader = super().estimating_reader()
        return WithLandmarks(reader, self.fit, _beside, self.edges) if self.landmarks else reader

    def list_videos(self, root: Path) -> list[Video]:
        """The videos of every kind; splits by the person whose video it is."""
        splits = self._read_splits(root)
        videos = []
        for category, kind in enumerate(self.categories):
            place = self._folder(root, kind)
            for name in entries(place):
                match = NAME.fullmatch(name)
                if match:
                    target, driver = match[1], match[2] or match[1]
                    where = {splits.get(target), splits.get(driver)}
                    if len(where) > 1 or None in where:
                        raise BenchError(
                            f"{place / name}: the numbers {target} and {driver} are in "
                            f"{some(sorted(map(str, where)))} of {root / 'splits'}, expected in one and the same of "
                            "train, val and test"
                        )
                    attributes = {"category": category, "subject": int(target), "driver": int(driver)}
                    more = (("landmarks", _beside(place / name)),) if self.landmarks else ()
                    source = Source(place / name, f"{kind}/{name}", attributes, more=more)
                    videos.append(Video(source, target, splits[target]))
            if not any(video.source.attributes["category"] == category for video in videos):
                raise self.published.differs(place, "000.mp4" if kind == "original" else "000_003.mp4")
        return videos

    def landmarks_folder(self, video: str) -> Path:
        """Where landmarks of a video are kept, by this project's own rule: beside `videos`, 0000.txt for frame 0.

        Args:
            video: its name in the cache, such as `original/000.mp4`.
        """
        kind, _, file = video.partition("/")
        return _beside(self._folder(self.published.find(self.root), kind) / file)

    def _folder(self, root: Path, kind: str) -> Path:
        base = root / ("original_sequences/youtube" if kind == "original" else f"manipulated_sequences/{kind}")
        names = ("raw", "c0") if self.compression == "raw" else (self.compression,)
        for name in names:
            if (base / name / "videos").is_dir():
                return base / name / "videos"
        raise self.published.differs(base if base.is_dir() else root, f"{base.relative_to(root)}/{names[0]}/videos")

    def _read_splits(self, root: Path) -> dict[str, Split]:
        found: dict[str, Split] = {}
        splits: tuple[Split, ...] = ("train", "val", "test")
        for split in splits:
            path = root / "splits" / f"{split}.json"
            if not path.is_file():
                raise self.published.differs(root, f"splits/{split}.json")
            try:
                pairs = json.loads(path.read_text())
                found |= {str(number): split for pair in pairs for number in pair}
            except (ValueError, TypeError) as error:
                raise BenchError(f'{path}: expected a list of pairs such as [["720", "672"]]: {error}') from error
        return found


def _beside(video: Path) -> Path:
    """Where the landmarks of a file in `videos` lie."""
    return video.parent.with_name("landmarks") / video.stem
