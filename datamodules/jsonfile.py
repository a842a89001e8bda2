import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.files import write_whole


def now() -> str:
    """UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`, empty where there is no file.

    Raises:
        BenchError: the file is not a JSON object.
    """
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} is damaged ({error}); move it away and run again") from error
    if not isinstance(value, dict):
        raise BenchError(f"{path} must hold a JSON object, found {type(value).__name__}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Whole or not at all; NaN and infinity are refused: JSON has none."""
    write_whole(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
