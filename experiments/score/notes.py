"""What a reader of a number should know of the videos behind it, in words."""

from collections import Counter
from collections.abc import Sequence

from experiments.score.clips import Facts
from experiments.score.files import WORD, Side
from experiments.score.policy import Policy


def of_side(side: Side, videos: Sequence[tuple[str, Facts]], policy: Policy, size: tuple[int, int]) -> list[str]:
    """Notes on the videos of one side.

    Args:
        videos: name and facts of each that entered.
        size: height and width that frames were brought to.
    """
    count, word = len(videos), WORD[side]
    notes = []
    lossy = Counter(facts.lossy for _, facts in videos if facts.lossy)
    if lossy:
        kinds = ", ".join(kind for kind, _ in lossy.most_common())
        notes.append(
            f"{lossy.total()} of {count} {word} videos were compressed with loss ({kinds}), which moves every metric"
        )
    resized = [(name, facts) for name, facts in videos if facts.size and facts.size != size]
    if resized:
        name, facts = resized[0]
        notes.append(
            f"{len(resized)} of {count} {word} videos, such as {name} ({shown(facts.size)}), were resized to "
            f"{shown(size)}"
        )
    left = [facts.left for _, facts in videos if facts.left]
    if left and policy.windows == "first":
        notes.append(f"{len(left)} of {count} {word} videos are longer: only their first clip counts (windows: first)")
    elif left and policy.windows == "random":
        notes.append(
            f"{len(left)} of {count} {word} videos are longer: one clip of each counts, drawn by seed {policy.seed} "
            "and the video's name (windows: random)"
        )
    elif left:
        notes.append(f"{len(left)} of {count} {word} videos end with frames that fill no clip (windows: all)")
    warned = [(name, facts.warnings[0]) for name, facts in videos if facts.warnings]
    if warned:
        notes.append(f"{len(warned)} of {count} {word} videos have a warning, such as {warned[0][0]}: {warned[0][1]}")
    return notes


def of_copies(real: Sequence[str | None], fake: Sequence[str | None]) -> list[str]:
    """Notes on files with the same bytes, by their digests."""
    notes = []
    for word, digests in (("real", real), ("generated", fake)):
        twice = len(digests) - len(set(digests))
        if twice:
            notes.append(f"{twice} {word} videos are copies of others of their side, byte for byte")
    same = sum(digest in set(real) for digest in fake)
    if same:
        notes.append(f"{same} generated videos are real ones, byte for byte")
    return notes


def of_unpaired(side: Side, names: Sequence[str]) -> str:
    """Names that have no partner."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} {WORD[side]} videos have no partner of their name: {', '.join(names[:5])}{more}"


def shown(size: tuple[int, int] | None) -> str:
    """`64x96`, height first."""
    return "unknown" if size is None else f"{size[0]}x{size[1]}"
