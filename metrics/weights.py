"""Finds published weights on this machine. Nothing here downloads: `reelbench weights fetch` does, on command."""

import contextlib
import difflib
import hashlib
import importlib.util
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json, write_json
from metrics.weights_catalogue import CATALOGUE, Package, WeightsFile

__all__ = ["CATALOGUE", "MissingWeights", "Package", "WeightsFile", "entry", "folder", "identity", "locate", "problem"]

VARIABLE = "REELBENCH_WEIGHTS"
_CHUNK = 2**20
_remembered: dict[Path, dict[str, Any]] = {}


class MissingWeights(BenchError):
    """Weights that are not on this machine.

    Attributes:
        name: in the catalogue.
        note: a few words for the cell of a table.
    """

    def __init__(self, name: str, places: Collection[Path]) -> None:
        self.name = name
        self.note = f"weights missing: reelbench weights fetch {name}"
        looked = " and ".join(map(str, places))
        super().__init__(
            f"the weights {name} ({CATALOGUE[name].file}) are missing; looked for {looked}. Nothing is downloaded by "
            f"itself: `reelbench weights fetch {name}` gets them, or put the file there"
        )


def folder() -> Path:
    """`REELBENCH_WEIGHTS`, or `weights` in `REELBENCH_CACHE`, which is `~/.cache/reelbench` by default."""
    cache = os.environ.get("REELBENCH_CACHE") or "~/.cache/reelbench"
    return Path(os.environ.get(VARIABLE) or f"{cache}/weights").expanduser()


def entry(name: str) -> WeightsFile:
    """What is known of the weights `name`.

    Raises:
        BenchError: there are none of that name.
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CATALOGUE)}"
        raise BenchError(f"no weights are called {name!r}; {hint}")
    return CATALOGUE[name]


def locate(name: str, path: Path | None = None) -> Path:
    """The file of the weights `name`, once its size and digest are what was published.

    A file is hashed once; afterwards its size and time of change tell that it is the same.

    Args:
        path: the file, or the folder that holds it; None takes `folder()`, or an installed package that carries it.

    Raises:
        MissingWeights: it is in none of these places.
        BenchError: there is another file under its name, or no weights are called `name`.
    """
    file = entry(name)
    if path is not None:
        places = [path / file.file if path.is_dir() else path]
    else:
        places = [folder() / file.file, *_installed(file)]
    for place in places:
        if place.is_file():
            wrong = problem(file, place)
            if wrong:
                raise BenchError(f"{place} is not the file of the weights {name}: {wrong}; {_remedy(file)}")
            return place
    raise MissingWeights(name, places)


def problem(file: WeightsFile, path: Path, remembered: bool = True) -> str | None:
    """What is wrong with the file at `path`, None where it is what was published, as far as that is known.

    Args:
        remembered: trust digests of an earlier look at an unchanged file.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"it has {size:,} bytes, {file.size:,} were expected"
    found = digests(path, file.digests, remembered)
    for kind, wanted in file.digests.items():
        if not found[kind].startswith(wanted):
            return f"its {kind} is {found[kind][: max(12, len(wanted))]}, {wanted} was expected"
    return None


def identity(name: str) -> str:
    """What tells these weights from others, for a fingerprint: known without the file where a digest was published."""
    file = entry(name)
    if file.values_digest:
        return f"values sha256 {file.values_digest[:12]}"
    for kind, digest in file.digests.items():
        return f"{kind} {digest[:12]}"
    with contextlib.suppress(MissingWeights):
        return f"sha256 {digests(locate(name), ('sha256',))['sha256'][:12]}"
    return "digest unknown"


def digests(path: Path, kinds: Collection[str], remembered: bool = True) -> dict[str, str]:
    """Hexadecimal digests of a file by kind (sha256, sha1, git_blob), read once and remembered until it changes."""
    path = path.resolve()
    stat = path.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    known = _recall(path, stamp) if remembered else {}
    absent = [kind for kind in kinds if kind not in known]
    if absent:
        known |= _hashed(path, absent)
        _remembered[path] = {**stamp, "digests": known}
        if path.parent == folder().resolve() and not path.name.startswith("."):
            with contextlib.suppress(BenchError):  # a read-only folder is hashed once a process
                write_json(_stamp_file(path), _remembered[path])
    return {kind: known[kind] for kind in kinds}


def _recall(path: Path, stamp: dict[str, int]) -> dict[str, str]:
    for read in (lambda: _remembered.get(path, {}), lambda: read_json(_stamp_file(path))):
        with contextlib.suppress(BenchError, OSError):
            seen = read()
            if all(seen.get(key) == value for key, value in stamp.items()) and isinstance(seen.get("digests"), dict):
                return dict(seen["digests"])
    return {}


def _stamp_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.digests.json")


def _hashed(path: Path, kinds: Collection[str]) -> dict[str, str]:
    hashers = {kind: hashlib.new("sha1" if kind == "git_blob" else kind) for kind in kinds}
    if "git_blob" in hashers:
        hashers["git_blob"].update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
    return {kind: hasher.hexdigest() for kind, hasher in hashers.items()}


def _installed(file: WeightsFile) -> list[Path]:
    """Where a package carries the file, found without importing the package."""
    if file.installed is None:
        return []
    package, _, below = file.installed.partition("/")
    spec = importlib.util.find_spec(package)
    return [Path(place) / below for place in (spec.submodule_search_locations or [])] if spec else []


def _remedy(file: WeightsFile) -> str:
    return f"move it away, then `reelbench weights fetch {file.name}`"
