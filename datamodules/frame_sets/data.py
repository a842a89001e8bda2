"""Data sets whose frames are many files each: videos of pictures with label maps, conditions, key-points."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from datamodules.bad_files import OnError, judge, listed, log
from datamodules.base import Store
from datamodules.errors import BenchError
from datamodules.flip import Flipped
from datamodules.flow_track import FlowMethod, check_flow
from datamodules.frame_sets.cached import FrameFiles, frame_cache, frame_store, usable
from datamodules.frame_sets.listing import FrameSource, Paired, Role, pair
from datamodules.frame_sets.maps import Part
from datamodules.frame_sets.reader import FrameReader, Framing
from datamodules.layout import Layout
from datamodules.reading.scaling import Fit
from datamodules.store import Cache
from datamodules.tracks import BETWEEN


class FrameSetData(Flipped):
    """Base of the sets. A sub-class says where the set is from, makes `reader`, and lists the videos of a phase.

    Args:
        dataset: name of the set, and of its folder below `REELBENCH_DATA`.
        root: the set's folder, where it lies elsewhere.
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame.
        batch_size: clips per step over all processes.
        context: how many first frames prediction methods are given.
        num_workers: loader processes.
        fit: how pictures of another aspect fill the frame: `squash`, `crop` (the middle) or `pad` (black).
        flow: `dis` estimates the optical flow between neighbouring frames, both ways, once, into the cache (by OpenCV,
            the extra `flow`); clips then take every frame (`stride: 1`).
        train, val, test: what the splits are called in the set's folders. Most sets have no validation phase: name the
            one that runs are watched on.
        on_error: what becomes of frames that lack a file or have a broken one. `raise` names them; `skip` leaves out up
            to 5 % of them, and the frames on both sides are two videos; `truncate` ends the video before a broken one.
    """

    title: str | None = None  # what people call the set, where that is not its `dataset`
    origin: str
    tree: Sequence[str]
    reader: FrameReader

    def __init__(
        self,
        dataset: str,
        root: str | None = None,
        size: int | tuple[int, int] = 256,
        frames: int = 1,
        stride: int = 1,
        batch_size: int = 1,
        context: int = 0,
        num_workers: int = 0,
        fit: Fit = "squash",
        flow: FlowMethod | None = None,
        train: str = "train",
        val: str = "val",
        test: str = "test",
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(size, frames, stride, batch_size, context, num_workers)
        check_flow(flow, (self.height, self.width), frames, stride)
        self.flow = flow
        self.layout = Layout(self.title or dataset, dataset, self.origin, self.tree)
        self.name, self.root, self.on_error, self.fit = dataset, root, on_error, fit
        self._videos: dict[str, list[FrameSource]] = {}
        self.phases = {"train": train, "val": val, "test": test}
        self.resize = "area" if fit == "squash" else f"area {fit}"

    def know(self, parts: Sequence[Part], framing: Framing | None = None) -> None:
        """Sets what is read of each frame, and which part of the pictures is shown."""
        self.reader = FrameReader(self.height, self.width, parts, self.fit, framing)
        self.tracks = frozenset(self.reader.tracks) | (BETWEEN if self.flow else frozenset())

    def list_phase(self, root: Path, phase: str) -> list[FrameSource]:
        """The videos of a phase in a fixed order. Raises `BenchError`."""
        raise NotImplementedError(f"{type(self).__name__}.list_phase")

    def videos(self, phase: str) -> list[FrameSource]:
        """`list_phase`, once. Raises `BenchError` where no video holds a clip."""
        if phase not in self._videos:
            root = self.layout.find(self.root)
            videos = self.list_phase(root, phase)
            if not videos:
                raise self.layout.differs(root, f"every frame of {phase}")
            self.require_long_enough(videos, phase)
            self._videos[phase] = videos
        return self._videos[phase]

    def phase_cache(self, phase: str) -> Cache:
        """All frames of a phase; the first process that needs them decodes them.

        Raises:
            BenchError: files are bad beyond what `on_error` tolerates.
        """
        cache = self._frame_cache(phase, build=True)
        judge(f"{self.name} {phase}", cache.total, cache.skipped, self.on_error)
        return cache

    def caches(self) -> list[Cache]:
        """Those of all phases; built first where there is none. Raises `BenchError`."""
        return [self.phase_cache(phase) for phase in dict.fromkeys(self.phases.values())]

    def built(self) -> list[Cache]:
        """The caches that were built before. Raises `BenchError` where there is none."""
        return [self._frame_cache(phase, build=False) for phase in dict.fromkeys(self.phases.values())]

    def _frame_cache(self, phase: str, build: bool) -> Cache:
        files = FrameFiles(self.videos(phase), self.reader, flow=self.flow is not None)
        return frame_cache(f"{self.name}_{phase}", files, build)

    def open_store(self, split: str) -> Store:
        """The split's videos, from the cache."""
        phase = self.phases[split]
        cache = self.phase_cache(phase)
        parts = usable(cache, self.videos(phase), self.on_error)
        return frame_store(cache, self.videos(phase), self.long_enough(parts, phase))

    def require_long_enough(self, videos: Sequence[FrameSource], phase: str) -> None:
        """Raises `BenchError` where none holds a clip."""
        if all(len(v) < self.frames for v in videos):
            raise BenchError(
                f"{self.name}: no video of {phase} has data.init_args.frames={self.frames} frames that follow one "
                f"another:\n{listed([(v.name, f'{len(v)} frames') for v in videos])}"
            )

    def long_enough(self, videos: Sequence[FrameSource], phase: str) -> list[FrameSource]:
        """Those that hold a clip; says how many do not. Raises `BenchError` where none does."""
        self.require_long_enough(videos, phase)
        short = [(v.name, f"{len(v)} frames") for v in videos if len(v) < self.frames]
        if short:
            log.warning(
                "%s: %d of %d videos of %s have fewer than data.init_args.frames=%d frames and are dropped:\n%s",
                *(self.name, len(short), len(videos), phase, self.frames, listed(short)),
            )
        return [v for v in videos if len(v) >= self.frames]

    def paired(self, phase: str, groups: Mapping[str, Mapping[str, Role]], more: Collection[str] = ()) -> list[Paired]:
        """The frames of each group of folders; those without all their files are held against `on_error`.

        Args:
            groups: roles of a sequence, city or phase, by its name.
            more: see `listing.pair`.
        """
        found = {name: pair(roles, more) for name, roles in groups.items()}
        alone = [(f"{name}/{stem}", reason) for name, group in found.items() for stem, reason in group.alone]
        total = sum(len(group.frames) for group in found.values()) + len(alone)
        for name, group in found.items():
            if not group.frames:
                folders = ", ".join(f"{role} in {place.folder}" for role, place in groups[name].items())
                why = listed(group.alone) if group.alone else "  the folders hold no such files"
                raise BenchError(f"{self.name}: no frame of {name} has all its files ({folders}):\n{why}")
        judge(f"{self.name} {phase}", total, alone, self.on_error)
        return list(found.values())
