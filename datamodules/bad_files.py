"""What happens to files that cannot be used: named with the reason, counted, and tolerated only within limits."""

import logging
from collections.abc import Sequence
from typing import Literal

from datamodules.errors import BenchError

OnError = Literal["raise", "skip", "truncate"]

TOLERATED = 0.05  # more than this share of bad files says that something else is wrong than a few files

log = logging.getLogger(__name__)


class BadFile(Exception):
    """A file that cannot become a video; the message is the reason, without the file's name."""


class DroppedFile(Exception):
    """A sound file that the data set's rule leaves out, such as a video below `min_frames`; the message says why."""


def judge(dataset: str, total: int, bad: Sequence[tuple[str, str]], on_error: OnError) -> None:
    """Shows `bad` and decides whether the rest may be used.

    Args:
        dataset: for the message.
        total: files in the set, good and bad.
        bad: (name, reason) of each file that cannot be used.
        on_error: `raise` refuses any; `skip` leaves out up to 5 % of the files; `truncate` also, but the caller keeps
            the sound frames of those that are only cut off.

    Raises:
        BenchError: naming the files and what to do.
    """
    if not bad:
        return
    found = f"{dataset}: {len(bad)} of {total} files cannot be used:\n{listed(bad)}\n"
    if on_error == "raise":
        raise BenchError(
            found
            + "Mend or remove them, or leave them out with data.init_args.on_error: skip; truncate keeps the sound "
            "frames of those that are only cut off"
        )
    if len(bad) > TOLERATED * total:
        raise BenchError(
            found + f"on_error: {on_error} tolerates at most {TOLERATED:.0%}: what is left would be another data set"
        )
    done = "Cut or skipped" if on_error == "truncate" else "Skipped"
    log.warning("%s%s, as on_error: %s asks", found, done, on_error)


def listed(entries: Sequence[tuple[str, str]], most: int = 5) -> str:
    """The first entries, one a line, and how many more there are."""
    lines = [f"  {name}: {reason}" for name, reason in entries[:most]]
    if len(entries) > most:
        lines.append(f"  ... and {len(entries) - most} more")
    return "\n".join(lines)
