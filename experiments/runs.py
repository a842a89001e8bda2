"""Reading run folders. Whatever is broken in one is said in its `problems`; nothing here stops at a bad folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from experiments.record import identity
from experiments.recorded import Score, as_dict, as_int, as_text, read_scores

HEARTBEAT_SECONDS = 120
STATES = ("running", "finished", "preempted", "failed", "stopped")
FILES = ("config.yaml", "status.json", "results.json")


@dataclass(frozen=True)
class Run:
    """A run folder, read as far as it could be.

    Attributes:
        state: one of `STATES`; `lost` for a run that says it is running but has no fresh heartbeat; `stored` for a
            folder of results without a status, such as a zoo entry; `unknown` where the status cannot be read.
        cell: hash of everything that decides the weights but the seed; runs that share it differ by seed alone.
        problems: what could not be read, one sentence each.
    """

    folder: Path
    name: str
    state: str
    identity: str = ""
    cell: str = ""
    method: str = ""
    class_path: str = ""
    data: str = ""
    seed: int | None = None
    code_version: str = ""
    dirty: bool = False
    scale: str = ""
    tags: tuple[str, ...] = ()
    reference: bool = False
    config: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def step(self) -> int | None:
        """Steps trained."""
        return as_int(self.status.get("step"))

    @property
    def max_steps(self) -> int | None:
        """The budget."""
        return as_int(self.status.get("max_steps"))

    @property
    def complete(self) -> bool:
        """Whether its numbers are final."""
        return self.state in ("finished", "stored")


def read_runs(roots: Iterable[Path], now: datetime | None = None) -> list[Run]:
    """Every run under `roots`, in the order of their folder names.

    Args:
        roots: folders of runs; a root that is itself a run folder, such as a zoo entry, counts as one run.
        now: against which heartbeats are judged.

    Raises:
        BenchError: a root is missing, or no root holds a folder.
    """
    roots = list(roots)
    folders: dict[Path, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise BenchError(f"runs folder {root} does not exist; give another one, or set REELBENCH_RUNS")
        found = [root] if _is_run(root) else sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._")
        folders |= {folder.resolve(): folder for folder in found}
    if not folders:
        where = ", ".join(str(root) for root in roots)
        raise BenchError(f"no runs in {where}; `reelbench fit` writes them there")
    return [read_run(folder, now) for folder in folders.values()]


def read_run(folder: Path, now: datetime | None = None) -> Run:
    """One run folder; never raises for what the folder holds."""
    problems: list[str] = []
    files = {name: _object(folder / f"{name}.json", problems) for name in ("status", "results", "environment")}
    status, results, environment = files["status"], files["results"], files["environment"]
    text, config = _config(folder / "config.yaml", problems)
    if not _is_run(folder):
        problems[:] = [f"not a run folder: it holds none of {', '.join(FILES)}"]
    fallback, tags = _described(config), results.get("tags")
    scores = tuple(read_scores(results, problems))
    return Run(
        folder=folder,
        name=as_text(results.get("name")) or _stem(folder.resolve().name),
        state=_state(folder, status, bool(results), now or datetime.now(UTC), problems),
        identity=as_text(results.get("identity")),
        cell=_cell(config) or as_text(results.get("identity")) or str(folder.resolve()),
        method=as_text(results.get("method")) or fallback["method"],
        class_path=as_text(results.get("class_path")) or fallback["class_path"],
        data=as_text(results.get("data")) or fallback["data"],
        seed=as_int(results.get("seed", config.get("seed_everything"))),
        code_version=as_text(results.get("code_version")) or as_text(environment.get("code_version")),
        dirty=environment.get("dirty") is True,
        scale=as_text(results.get("scale")),
        tags=tuple(as_text(tag) for tag in tags) if isinstance(tags, list) else (),
        reference=results.get("reference") is True,
        config=text,
        status=status,
        environment=environment,
        scores=scores,
        problems=tuple(problems),
    )


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in FILES)


def _stem(name: str) -> str:
    """`mocogan-0123456789ab` without its hash."""
    head, _, tail = name.rpartition("-")
    return head if head and len(tail) == 12 and all(c in "0123456789abcdef" for c in tail) else name


def _object(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return read_json(path)
    except BenchError as error:
        problems.append(str(error).replace(str(path), path.name))
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
    return {}


def _config(path: Path, problems: list[str]) -> tuple[str, dict[str, Any]]:
    if not path.exists():
        problems.append(f"{path.name} is absent")
        return "", {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return "", {}
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problems.append(f"{path.name} is not YAML: {' '.join(str(error).split())}")
        return text, {}
    if not isinstance(config, dict):
        problems.append(f"{path.name} must hold keys, found {type(config).__name__}")
        return text, {}
    return text, config


def _cell(config: Mapping[str, Any]) -> str:
    try:
        return identity({**config, "seed_everything": None})
    except (KeyError, TypeError, AttributeError):
        return ""  # not a whole config: such a run is a cell of its own


def _described(config: Mapping[str, Any]) -> dict[str, str]:
    """Method and data of a run that has no results yet, from the module paths of its classes."""
    paths = {key: as_text(as_dict(config.get(key)).get("class_path")) for key in ("model", "data")}
    method, data = paths["model"].split("."), paths["data"].split(".")
    return {
        "class_path": paths["model"],
        "method": method[1] if len(method) > 2 else method[-1],
        "data": data[-2] if len(data) > 1 else data[-1],
    }


def _state(folder: Path, status: Mapping[str, Any], scored: bool, now: datetime, problems: list[str]) -> str:
    if not (folder / "status.json").exists():
        if not scored and _is_run(folder):
            problems.append("status.json is absent")
        return "stored" if scored else "unknown"
    state = status.get("state")
    if state not in STATES:
        if not any(problem.startswith("status.json") for problem in problems):
            problems.append(f"status.json: state is {state!r}, expected one of {', '.join(STATES)}")
        return "unknown"
    if state != "running":
        return str(state)
    beat = heartbeat(status)
    if beat is None:
        problems.append(f"status.json: heartbeat is {status.get('heartbeat')!r}, expected an ISO 8601 time")
    return "running" if beat and (now - beat).total_seconds() <= HEARTBEAT_SECONDS else "lost"


def heartbeat(status: Mapping[str, Any]) -> datetime | None:
    """When the run last wrote; a time without a zone is UTC."""
    try:
        beat = datetime.fromisoformat(as_text(status.get("heartbeat")))
    except ValueError:
        return None
    return beat if beat.tzinfo else beat.replace(tzinfo=UTC)
