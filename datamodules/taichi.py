"""Tai-Chi-HD in the layout of the First Order Motion Model (Siarohin et al., NeurIPS 2019)."""

from pathlib import Path

from datamodules.bad_files import log
from datamodules.content import Source
from datamodules.published import Published, PublishedVideos, Split, Video, entries, numbered, some
from datamodules.reading.kinds import VIDEO_SUFFIXES

MARK = "#"  # between the recording's id and the place that the video was cut from

PUBLISHED = Published(
    title="Tai-Chi",
    folder="taichi",
    origin="YouTube, by load_videos.py and taichi-metadata of AliaksandrSiarohin/video-preprocessing",
    tree=(
        "train/{YouTube id}#{first frame}#{last frame}.mp4, or a folder of that name with one PNG a frame",
        "test/{YouTube id}#{first frame}#{last frame}.mp4",
    ),
)


class TaiChi(PublishedVideos):
    """Tai-Chi. Attribute: `subject`, the recording (the part of the name before `#`), numbered in sorted order.

    MoCoGAN's 4,500 Tai-Chi clips were never published; this is the set that followed it. Recordings are lost from
    YouTube over the years, so two copies rarely hold the same videos: compare split digests. Validation videos are
    drawn by recording from `train`. FOMM draws a recording first and one of its videos then (id sampling); here every
    video comes once an epoch.
    """

    published = PUBLISHED

    def list_videos(self, root: Path) -> list[Video]:
        """Files, and folders of frames: the latter are called .mp4 too."""
        named: list[tuple[Split, str]] = []
        for split in ("train", "test"):
            names = [n for n in entries(root / split) if _is_video(root / split / n)] if (root / split).is_dir() else []
            if not names:
                raise self.published.differs(root / split if (root / split).is_dir() else root, f"{split}/*.mp4")
            wrong = [name for name in names if not name.partition(MARK)[0] or MARK not in name]
            if wrong:
                raise self.published.differs(root / split, f"the recording's id and # in the names of {some(wrong)}")
            named += [(split, name) for name in names]
        subjects = numbered([_recording(name) for _, name in named])
        both = sorted(
            {_recording(n) for s, n in named if s == "train"} & {_recording(n) for s, n in named if s == "test"}
        )
        if both:
            log.warning("Tai-Chi: %d recordings are in train and in test: %s", len(both), some(both))
        return [
            Video(
                Source(root / split / name, f"{split}/{name}", {"subject": subjects[_recording(name)]}),
                _recording(name),
                split,
            )
            for split, name in named
        ]


def _recording(name: str) -> str:
    return name.partition(MARK)[0]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir()
