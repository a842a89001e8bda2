"""Pictures of a run's predictions as data: URIs."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from experiments.wording import plural
from lightning_modules.strips import ABOUT

PNG = b"\x89PNG\r\n\x1a\n"
END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Predictions:
    """What a run predicted under one protocol.

    Attributes:
        protocol: its label and hash.
        rows: what the rows of each picture are, from the top.
        caption: how to read them.
        pictures: number of the clip and data: URI.
    """

    protocol: str
    rows: tuple[str, ...]
    caption: str
    pictures: tuple[tuple[str, str], ...]


def read_predictions(run: Path, limit: int, problems: list[str]) -> list[Predictions]:
    """Of each protocol that a run was scored under, at most `limit` pictures.

    Args:
        problems: takes a sentence for what could not be shown.
    """
    found = []
    for folder in sorted((run / "strips").glob("*")) if limit else []:
        if not (folder / ABOUT).exists():  # being written, or no folder of ours
            continue
        try:
            about = read_json(folder / ABOUT)
            rows, caption = tuple(map(str, about["rows"])), _caption(about)
        except (BenchError, OSError, KeyError, TypeError, ValueError) as error:
            problems.append(f"strips/{folder.name}/{ABOUT} cannot be read: {error}")
            continue
        pictures = []
        for number, path in zip(about["clips"], sorted(folder.glob("*.png"))[:limit], strict=False):
            content = path.read_bytes()
            if not (content.startswith(PNG) and content.endswith(END)):
                problems.append(f"strips/{folder.name}/{path.name} is not a whole PNG")
                continue
            pictures.append((str(number), f"data:image/png;base64,{base64.b64encode(content).decode()}"))
        if pictures:
            found.append(Predictions(folder.name, rows, caption, tuple(pictures)))
    return found


def _caption(about: dict[str, Any]) -> str:
    context, samples = int(about["context"]), int(about["samples"])
    given = plural(context, "context frame")
    frames = " ".join(str(int(frame)) for frame in about["frames"])
    if samples == 1:
        return f"After {given} the truth and the one sample; frames {frames}."
    return (
        f"After {given} the truth and, of {samples} samples, the best, the first drawn and the worst by "
        f"{about['chosen_by']}; frames {frames}."
    )
