"""Reads every video whose numbers are not on disk yet, and puts them there."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.build_progress import BuildProgress, say
from experiments.score.clips import ClipReading, Facts
from experiments.score.decoding import Decoder, Stream
from experiments.score.digests import Digests
from experiments.score.files import Side, Video
from experiments.score.measuring import Column
from experiments.score.policy import Policy
from experiments.score.rows import Shelf

CHANGED = "changed while it was read; score it again when it is complete"


class Unit(NamedTuple):
    """Videos that are read side by side: a pair, or one of a side alone."""

    real: Video | None
    fake: Video | None

    @property
    def videos(self) -> dict[Side, Video]:
        """Those that are there."""
        sides: dict[Side, Video | None] = {"real": self.real, "fake": self.fake}
        return {side: video for side, video in sides.items() if video is not None}


class Filler:
    """The rows of all videos under one policy.

    Args:
        root: of the shelves.
        policy, size: decide the clips.
        columns: whose rows are wanted.
        resize: whether pairs whose own sizes differ may be compared.
        device: that clips are described on.
    """

    def __init__(
        self,
        root: Path,
        policy: Policy,
        size: tuple[int, int],
        columns: Sequence[Column],
        digests: Digests,
        resize: bool,
        device: torch.device,
        threads: int,
    ) -> None:
        self._policy, self._reader = policy, policy.reader(size)
        self._digests, self._resize, self._device, self._threads = digests, resize, device, threads
        self._unreadable: dict[Path, Facts] = {}
        made = {
            "reader": self._reader.policy,
            "frames": [policy.frames, policy.stride, policy.windows, 0 if policy.score_context else policy.context],
            **({"seed": policy.seed} if policy.windows == "random" else {}),
        }
        self._facts = Shelf(root, {**made, "of": "facts"})
        self._shelves = {c.made: Shelf(root, {**made, "of": "rows", "made": c.made}) for c in columns}
        self._describing = {c.made: c for c in columns if not c.paired}
        self._comparing = {c.made: c for c in columns if c.paired}
        self._real_is_described = {
            made: any("real" in c.sides for c in columns if c.made == made) for made in self._describing
        }

    def facts(self, video: Video) -> Facts:
        """Of a video that was read."""
        if video.path in self._unreadable:
            return self._unreadable[video.path]
        return Facts.of(self._facts.facts(self._key(video)))

    def rows(self, column: Column, *videos: Video) -> Tensor:
        """B parts width: of one video, or of a generated and its real one."""
        return self._shelves[column.made].rows(self._key(*videos))

    def comparable(self, fake: Video, real: Video) -> bool:
        """Whether a pair's own sizes agree, or may differ."""
        return self._resize or self.facts(fake).size == self.facts(real).size

    def has(self, column: Column, *videos: Video) -> bool:
        """Whether there are rows."""
        return self._key(*videos) in self._shelves[column.made]

    def fill(self, units: Sequence[Unit]) -> None:
        """Reads what is missing; what was read before is not touched."""
        self._digests.find([video for unit in units for video in unit.videos.values()])
        for unit in units:
            for video in unit.videos.values():
                if self._digests.of(video) is None and video.path not in self._unreadable:
                    self._unreadable[video.path] = Facts(skipped="cannot be read: permissions, or a link to nowhere")
        todo = [part for unit in units if (part := self._missing(unit)).videos]
        keys = {video.path: video.key for unit in todo for video in unit.videos.values()}
        groups = [[video.path for video in unit.videos.values()] for unit in todo]
        total = sum(len(unit.videos) for unit in units)
        done = total - sum(map(len, groups))
        if done == total:
            return
        if done:
            say(f"{done} of {total} videos were read before")
        with (
            Decoder(lambda path: ClipReading(self._reader, self._policy, path, keys[path]), self._threads) as decoder,
            BuildProgress("scoring", done + sum(map(len, groups)), done) as progress,
        ):
            for unit, streams in zip(todo, decoder.streams(groups), strict=True):
                self._read(unit, dict(zip(unit.videos, streams, strict=True)), progress)
                progress.advance(videos=len(streams))

    def close(self) -> None:
        """Gives the files back."""
        with contextlib.ExitStack() as stack:
            for shelf in (self._facts, *self._shelves.values()):
                stack.callback(shelf.close)

    def _key(self, *videos: Video) -> str:
        """The content; and the name, where it decides which window of the content counts."""
        digests = [str(self._digests.of(video)) for video in videos]
        if self._policy.windows == "random":
            named = [hashlib.blake2b(video.key.encode(), digest_size=8).hexdigest() for video in videos]
            digests = [f"{digest}@{name}" for digest, name in zip(digests, named, strict=True)]
        return " ".join(digests)

    def _usable(self, video: Video) -> bool | None:
        """Whether it gives clips; None where that is not known yet."""
        if video.path in self._unreadable:
            return False
        kept = self._facts.facts(self._key(video))
        return None if kept is None else not kept["skipped"]

    def _missing(self, unit: Unit) -> Unit:
        """Those videos of the unit that have to be read."""
        need = {side: self._usable(v) is not False and self._lacks(side, v) for side, v in unit.videos.items()}
        if unit.real and unit.fake and self._lacks_pair(unit.fake, unit.real):
            return unit
        return Unit(unit.real if need.get("real") else None, unit.fake if need.get("fake") else None)

    def _described(self, side: Side) -> list[str]:
        return [made for made in self._describing if side == "fake" or self._real_is_described[made]]

    def _lacks(self, side: Side, video: Video) -> bool:
        key = self._key(video)
        return key not in self._facts or any(key not in self._shelves[made] for made in self._described(side))

    def _lacks_pair(self, fake: Video, real: Video) -> bool:
        usable = self._usable(fake), self._usable(real)
        if False in usable or not self._comparing:
            return False
        if None not in usable and not self.comparable(fake, real):
            return False
        return any(not self.has(column, fake, real) for column in self._comparing.values())

    def _read(self, unit: Unit, streams: Mapping[Side, Stream], progress: BuildProgress) -> None:
        """Rows of all that the unit lacks; kept once its videos have come to their ends without a reason against."""
        wanted = {
            side: [made for made in self._described(side) if not self.has(self._describing[made], video)]
            for side, video in unit.videos.items()
        }
        rows: dict[tuple[str, str], list[Tensor]] = {}
        for parts in _side_by_side(streams):
            clips = {side: self._scored(part) for side, part in parts.items()}
            for side, part in clips.items():
                progress.advance(frames=len(part) * part.shape[2])
                for made in wanted[side]:
                    rows.setdefault((side, made), []).append(self._describing[made].rows(part))
            if len(clips) == 2:
                both = min(map(len, clips.values()))
                for made, column in self._comparing.items():
                    compared = column.rows(clips["fake"][:both], clips["real"][:both])
                    rows.setdefault(("pair", made), []).append(compared)
        for side, video in unit.videos.items():
            self._keep(
                video, streams[side].facts, {made: rows[side, made] for made in wanted[side] if (side, made) in rows}
            )
        real, fake = unit.real, unit.fake
        if real and fake and self._usable(real) and self._usable(fake) and self.comparable(fake, real):
            for made in self._comparing:
                self._shelves[made].add(self._key(fake, real), {}, torch.cat(rows["pair", made]))

    def _keep(self, video: Video, facts: Facts, rows: Mapping[str, list[Tensor]]) -> None:
        if self._digests.changed(video):
            self._unreadable[video.path] = Facts(skipped=CHANGED)
            return
        key = self._key(video)
        if not facts.skipped:
            for made, parts in rows.items():
                self._shelves[made].add(key, {}, torch.cat(parts))
        if key not in self._facts:
            self._facts.add(key, facts.as_dict())

    def _scored(self, clips: Tensor) -> Tensor:
        """On the device, without the frames that are not scored."""
        first = 0 if self._policy.score_context else self._policy.context
        return clips[:, :, first:].to(self._device)


def _side_by_side(streams: Mapping[Side, Stream]) -> Iterator[dict[Side, Tensor]]:
    """Parts of all streams in step, until the last has ended."""
    for parts in zip_longest(*streams.values()):
        yield {side: part for side, part in zip(streams, parts, strict=True) if part is not None}
