"""What a person may type in place of a long path: a packaged config by its short name, a run folder, an export."""

import atexit
import difflib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from datamodules.errors import BenchError
from experiments.record import recorded_hash

CONFIGS = Path(__file__).parent / "configs"


@dataclass
class Expanded:
    """Arguments with short names replaced.

    Attributes:
        argv: for the parser.
        run: the run folder that was named.
        weights: the export that was named.
        recorded: the first 12 digits of the identity that the run or export was trained under.
    """

    argv: list[str] = field(default_factory=list)
    run: Path | None = None
    weights: Path | None = None
    recorded: str | None = None


def config_path(name: str) -> Path:
    """A file as given, else the packaged config of that name: `method/mocogan` or `method/mocogan.yaml`.

    Raises:
        BenchError: neither exists.
    """
    for candidate in (Path(name), CONFIGS / name, CONFIGS / f"{name}.yaml"):
        if candidate.is_file():
            _check_yaml(candidate)
            return candidate
    packaged = sorted(str(p.relative_to(CONFIGS).with_suffix("")) for p in CONFIGS.rglob("*.yaml"))
    stem = name.removesuffix(".yaml")
    near = difflib.get_close_matches(stem, packaged, 1, cutoff=0.4) or [p for p in packaged if p.endswith(f"/{stem}")]
    hint = f", did you mean '{near[0]}'?" if near else f"; packaged are {', '.join(packaged)}"
    raise BenchError(f"--config {name}: no such file{hint}")


def _check_yaml(path: Path) -> None:
    try:
        yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BenchError(f"--config {path}: not valid YAML: {' '.join(str(error).split())}") from error


def expand(argv: list[str]) -> Expanded:
    """Replaces short config names, and a run folder or export given as a plain argument.

    Raises:
        BenchError: a file or folder that does not exist, or a folder that holds no run.
    """
    out = Expanded()
    rest = iter(argv)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag in ("--config", "-c"):
            value = value if equals else next(rest, "")
            if not value:
                raise BenchError("--config needs a file or a packaged config's name, such as method/mocogan_cpu")
            out.argv += ["--config", str(config_path(value))]
        elif word.startswith("-"):
            out.argv.append(word)
            if not equals and word not in ("--help", "-h") and not word.startswith("--print_config"):
                out.argv += [v for v in [next(rest, None)] if v is not None]
        else:
            _positional(word, out)
    return out


def _positional(word: str, out: Expanded) -> None:
    path = Path(word)
    if path.suffix == ".safetensors":
        from experiments.export import read_metadata  # imports torch

        metadata = read_metadata(path)
        out.weights, out.recorded = path, metadata["identity"][:12]
        out.argv += ["--config", _kept_file(metadata["config"])]
        return
    if not path.exists():
        raise BenchError(f"{word}: no such run folder; a config goes behind --config")
    if not (path / "config.yaml").is_file():
        raise BenchError(f"{word}: not a run folder, config.yaml is missing")
    out.run, out.recorded = path, recorded_hash(path / "config.yaml")
    out.argv += ["--config", str(path / "config.yaml")]


def _kept_file(text: str) -> str:
    """A file for the parser that goes when the process ends."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
