"""Which videos are read: all, or as many as a protocol asks for."""

from collections.abc import Sequence

from datamodules.bad_files import listed
from datamodules.build_progress import say
from datamodules.errors import BenchError
from experiments.score.files import WORD, Side, Sides, Video, drawn, pair
from experiments.score.filling import Filler, Unit
from experiments.score.policy import Policy


def read(filler: Filler, sides: Sides, policy: Policy, alone: bool, paired: bool) -> Sides:
    """Sees to the rows of the videos that count, and lists them.

    Where a protocol asks for fewer clips than there are, the videos are drawn by its seed, and others take the place
    of those that cannot be used.

    Args:
        alone, paired: whether videos count by themselves, and whether pairs count.

    Returns:
        All that were read, in the order in which they enter.

    Raises:
        BenchError: no video of a side can be used.
    """
    if not alone:
        pairs = pair(sides).pairs
        sides = Sides([real for real, _ in pairs], [fake for _, fake in pairs])
    asked = (policy.n_real, policy.n_fake)
    if asked != (None, None):
        sides = Sides(drawn(sides.real, policy.seed), drawn(sides.fake, policy.seed))
    sizes = [len(videos) for videos in sides]
    take = [size if number is None else min(number, size) for size, number in zip(sizes, asked, strict=True)]
    while True:
        used = Sides(sides.real[: take[0]], sides.fake[: take[1]])
        filler.fill(_units(used, alone))
        lacking = [_lacking(number, clips(filler, videos)) for number, videos in zip(asked, used, strict=True)]
        if paired:
            least = min((number for number in asked if number is not None), default=None)
            lacking = [max(lack, _lacking(least, pair_clips(filler, pair(used).pairs))) for lack in lacking]
        grown = [min(count + lack, size) for count, lack, size in zip(take, lacking, sizes, strict=True)]
        if grown == take:
            break
        take = grown
    for side, videos in zip(WORD, used, strict=True):
        _require_sound(filler, side, videos, policy)
    return used


def _lacking(number: int | None, found: int) -> int:
    return 0 if number is None else max(number - found, 0)


def sound(filler: Filler, videos: Sequence[Video]) -> list[Video]:
    """Those that give clips."""
    return [video for video in videos if not filler.facts(video).skipped]


def clips(filler: Filler, videos: Sequence[Video]) -> int:
    """How many they give."""
    return sum(filler.facts(video).clips for video in sound(filler, videos))


def pair_clips(filler: Filler, pairs: Sequence[tuple[Video, Video]]) -> int:
    """How many clips of a real video have one of its generated video beside them."""
    return sum(min(filler.facts(video).clips for video in pair) for pair in pairs if len(sound(filler, pair)) == 2)


def _units(used: Sides, alone: bool) -> list[Unit]:
    fake = {video.key: video for video in used.fake}
    units = [Unit(video, fake.pop(video.key, None)) for video in used.real]
    units += [Unit(None, video) for video in fake.values()]
    return units if alone else [unit for unit in units if len(unit.videos) == 2]


def _require_sound(filler: Filler, side: Side, videos: Sequence[Video], policy: Policy) -> None:
    skipped = [(v.name, reason) for v in videos if (reason := filler.facts(v).skipped)]
    if len(skipped) == len(videos):
        raise BenchError(
            f"none of the {len(videos)} {WORD[side]} videos can be used (clips have {policy.frames} frames, see "
            f"--frames):\n{listed(skipped)}"
        )
    if skipped:
        say(f"warning: {len(skipped)} of {len(videos)} {WORD[side]} videos are skipped:\n{listed(skipped)}")
