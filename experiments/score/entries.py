"""What is said of each number: the number itself, under what conditions, of which videos."""

import hashlib
from collections.abc import Sequence
from typing import Any

from experiments.score import notes
from experiments.score.digests import Digests
from experiments.score.files import Pairing, Side, Sides, Video
from experiments.score.filling import Filler
from experiments.score.measuring import Column
from experiments.score.plan import clips, pair_clips, sound
from experiments.score.policy import Policy

MANY = 10**9


class Entries:
    """Feeds metrics with the rows that were kept, and writes their entries.

    Args:
        policy, size: that clips were made by.
        used: videos that were read, in the order in which they enter.
        pairing: of all videos.
        filler: holds rows and facts.
    """

    def __init__(
        self,
        policy: Policy,
        size: tuple[int, int],
        used: Sides,
        pairing: Pairing,
        filler: Filler,
        digests: Digests,
    ) -> None:
        self._policy, self._size, self._used, self._pairing = policy, size, used, pairing
        self._filler, self._digests = filler, digests
        self._limits: dict[Side, int] = {"real": policy.n_real or MANY, "fake": policy.n_fake or MANY}
        self._read: dict[Side, list[Video]] = {"real": used.real, "fake": used.fake}
        self._singles = {
            side: [video for (video,) in self._first([(v,) for v in videos], self._limits[side])]
            for side, videos in self._read.items()
        }
        here = {video.path for videos in self._read.values() for video in videos}
        pairs = [(real, fake) for real, fake in pairing.pairs if real.path in here and fake.path in here]
        self._pairs = [(real, fake) for real, fake in self._first(pairs, min(self._limits.values()))]

    def _first(self, groups: Sequence[tuple[Video, ...]], limit: int) -> list[tuple[Video, ...]]:
        """The first groups of usable videos that give `limit` clips together, in the order of their names."""
        chosen, count = [], 0
        for group in groups:
            if len(sound(self._filler, group)) == len(group) and count < limit:
                chosen.append(group)
                count += min(self._filler.facts(video).clips for video in group)
        return sorted(chosen, key=lambda group: group[0].name)

    def of(self, column: Column) -> dict[str, Any]:
        """The entry of one metric."""
        counts = self._counts(column)
        if not column.why:
            column.why = self._refusal(column, counts)
        if not column.why:
            self._feed(column)
        result = column.result()
        of_real = sorted(map(self._content, self._videos(column)["real"]))
        digest = hashlib.blake2b(" ".join(of_real).encode(), digest_size=6)
        protocol = self._policy.protocol(self._size, *counts, digest.hexdigest())
        has_value = result.value is not None
        return {
            "metric": column.name,
            "value": result.value,
            "stderr": result.standard_error,
            "n": result.n_fake,
            "n_real": result.n_real,
            "n_fake": result.n_fake,
            "higher_is_better": None if column.metric is None else column.metric.higher_is_better,
            "note": result.note if has_value else "",
            "reason": None if has_value else result.note or "no value",
            "notes": self._notes(column, counts),
            "key": protocol.key(column.name, column.fingerprint),
            "protocol": {"label": protocol.label, "hash": protocol.hash, **protocol.conditions},
            "fingerprint": column.fingerprint,
            "extractor": column.extractor,
            "resize": f"{protocol.resize}, to {notes.shown(self._size)}",
            "skipped": self._skipped(),
            **({"unpaired": self._pairing.unpaired} if column.paired else {}),
            **({} if result.curve is None else {"curve": result.curve.as_dict()}),
        }

    def _counts(self, column: Column) -> tuple[int, int]:
        """Real and generated clips that enter."""
        if column.paired:
            count = min(pair_clips(self._filler, self._pairs), *self._limits.values())
            return count, count
        real, fake = (min(clips(self._filler, self._singles[side]), self._limits[side]) for side in self._limits)
        return real, fake

    def _refusal(self, column: Column, counts: tuple[int, int]) -> str:
        """Why the metric cannot stand for a number under this protocol; empty where it can."""
        asked = (self._policy.n_real, self._policy.n_fake)
        if column.paired:
            least = min((number for number in asked if number is not None), default=None)
            asked = (least, least)
        if any(number is not None and number > count for number, count in zip(asked, counts, strict=True)):
            return (
                f"the protocol {self._policy.label} asks for {asked[0]} real and {asked[1]} generated clips, found "
                f"{counts[0]} and {counts[1]}: numbers of other counts do not compare; --n-real and --n-fake change it"
            )
        if column.paired:
            apart = [pair for pair in self._pairs if len({self._filler.facts(video).start for video in pair}) > 1]
            if apart:
                return (
                    f"{len(apart)} of {len(self._pairs)} pairs differ in length, such as {apart[0][0].name}, so that "
                    "their random windows show other moments: pairs need --windows first, or videos of one length"
                )
            odd = [pair for pair in self._pairs if not self._filler.comparable(pair[1], pair[0])]
            if odd:
                real, fake = (self._filler.facts(video).size for video in odd[0])
                return (
                    f"{len(odd)} of {len(self._pairs)} pairs differ in size, such as {odd[0][0].name}: real "
                    f"{notes.shown(real)}, generated {notes.shown(fake)}; --resize compares them at "
                    f"{notes.shown(self._size)}"
                )
        return ""

    def _content(self, video: Video) -> str:
        """What of a video enters: its bytes, and where its random window begins."""
        digest = str(self._digests.of(video))
        return f"{digest}@{self._filler.facts(video).start}" if self._policy.windows == "random" else digest

    def _feed(self, column: Column) -> None:
        if column.paired:
            self._put(column, "pairs", [(fake, real) for real, fake in self._pairs], min(self._limits.values()))
            return
        for side, videos in self._singles.items():
            if side in column.sides:
                self._put(column, side, [(video,) for video in videos], self._limits[side])

    def _put(self, column: Column, side: str, keys: Sequence[tuple[Video, ...]], limit: int) -> None:
        number = 0
        for key in keys:
            rows = self._filler.rows(column, *key)[: limit - number]
            if len(rows):
                column.take(rows, side, number)
            number += len(rows)

    def _videos(self, column: Column) -> dict[Side, list[Video]]:
        """Those that enter."""
        if not column.paired:
            return self._singles
        return {"real": [real for real, _ in self._pairs], "fake": [fake for _, fake in self._pairs]}

    def _notes(self, column: Column, counts: tuple[int, int]) -> list[str]:
        found = []
        entered = self._videos(column)
        for side, videos in self._read.items():
            skipped = len(videos) - len(sound(self._filler, videos))
            if skipped:
                found.append(f"{skipped} of {len(videos)} {notes.WORD[side]} videos were skipped")
        for side, videos in entered.items():
            found += notes.of_side(
                side, [(video.name, self._filler.facts(video)) for video in videos], self._policy, self._size
            )
        if column.paired:
            found += [notes.of_unpaired(side, names) for side, names in self._pairing.unpaired.items() if names]
        elif counts[0] != counts[1]:
            found.append(f"{counts[0]} real and {counts[1]} generated clips")
        return found + notes.of_copies(*([self._digests.of(v) for v in videos] for videos in entered.values()))

    def _skipped(self) -> list[dict[str, str]]:
        reasons = ((s, v.name, self._filler.facts(v).skipped) for s, videos in self._read.items() for v in videos)
        return [{"side": side, "file": name, "reason": reason} for side, name, reason in reasons if reason]
