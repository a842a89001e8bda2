"""Two folders of videos to one entry a metric."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from datamodules.build_progress import say
from datamodules.errors import BenchError
from experiments.score import notes
from experiments.score.decoding import cores
from experiments.score.digests import Digests
from experiments.score.entries import Entries
from experiments.score.files import Pairing, Sides, find, pair
from experiments.score.filling import Filler
from experiments.score.measuring import Column
from experiments.score.native import native_size
from experiments.score.plan import read
from experiments.score.policy import Policy
from experiments.score.rows import shelves


class Request(NamedTuple):
    """What is to be scored, and how.

    Attributes:
        real, fake: folders or files.
        columns: the metrics by name, as in a config.
        suffix: takes only files that end so.
        resize: whether paired metrics may compare videos whose own sizes differ.
        cache: where numbers are kept; None takes `REELBENCH_CACHE`.
        keep: false throws them away.
        device: None takes a GPU where there is one.
        threads: that decode; None takes one a core.
    """

    real: Path
    fake: Path
    columns: Mapping[str, Mapping[str, Any]]
    policy: Policy
    suffix: str | None = None
    resize: bool = False
    cache: Path | None = None
    keep: bool = True
    device: str | None = None
    threads: int | None = None


def score(request: Request) -> list[dict[str, Any]]:
    """An entry for each metric, in the order asked for; docs/score.md names its keys.

    Raises:
        BenchError: nothing can be scored: no video of a side can be used, or only pairs count and there are none.
    """
    columns = [Column(name, spec) for name, spec in request.columns.items()]
    sides = find(request.real, request.fake, request.suffix)
    pairing = pair(sides)
    _look_at_pairs(columns, sides, pairing)
    policy, threads = request.policy, request.threads or cores()
    device = _device(request.device)
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(_root(request))
        digests = stack.enter_context(contextlib.closing(Digests(root, threads)))
        size = policy.size or native_size(root, sides.real, digests)
        for column in columns:
            column.prepare(policy.protocol(size), device)
        able = [column for column in columns if not column.why]
        filler = Filler(root, policy, size, able, digests, request.resize, device, threads)
        stack.enter_context(contextlib.closing(filler))
        paired = {column.paired for column in able}
        used = read(filler, sides, policy, False in paired, True in paired) if able else Sides([], [])
        entries = Entries(policy, size, used, pairing, filler, digests)
        return [entries.of(column) for column in columns]


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch has both for a device that is not there
        raise BenchError(f"--device {name}: cannot be used: {str(error).splitlines()[0]}") from error
    return device


@contextlib.contextmanager
def _root(request: Request) -> Iterator[Path]:
    if request.keep:
        yield shelves(request.cache)
        return
    with tempfile.TemporaryDirectory(prefix="reelbench-score-") as folder:
        yield Path(folder)


def _look_at_pairs(columns: list[Column], sides: Sides, pairing: Pairing) -> None:
    """Names what has no partner. Raises `BenchError` where nothing else than pairs counts, and there are none."""
    paired = [column for column in columns if column.paired]
    if not paired:
        return
    if pairing.pairs:
        for side, names in pairing.unpaired.items():
            if names:
                say(f"warning: {notes.of_unpaired(side, names)}")
        return
    why = (
        f"no real and generated video have the same name ({sides.real[0].name} and {sides.fake[0].name} are the "
        f"first): {', '.join(c.name for c in paired)} compare each generated video with the real one of its name, "
        "suffix aside"
    )
    for column in paired:
        column.why = why
    if all(column.why for column in columns):
        raise BenchError(why)
