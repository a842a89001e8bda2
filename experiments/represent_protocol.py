"""Under what conditions `reelbench represent` measures: from a packaged name, a file or the command line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

import yaml

from datamodules.errors import BenchError
from experiments.arguments import config_path
from experiments.near import nearest
from lightning_modules.vgan.actions import Average
from metrics.protocol import digest


@dataclass(frozen=True)
class ActionProtocol:
    """What is taught and how it is judged; the default is the official training, one clip a video.

    Attributes:
        label: display name; not hashed.
        split: `val` or `test`, of the data set's fold.
        frames, stride: of a clip; None takes the data's. Frames are the method's too, whose kernels fix them.
        steps, batch: of the fine-tuning (official: 1,000 steps of 256 clips).
        clips: judged of each video, their places drawn by `seed`.
        average: what of a video's clips is averaged before the largest is taken; see `actions.accuracy`.
        seed: of new weights, training clips, dropout and judged clips.
    """

    label: str = "actions"
    split: str = "test"
    frames: int | None = None
    stride: int | None = None
    steps: int = 1000
    batch: int = 256
    clips: int = 1
    average: Average = "probabilities"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in ("val", "test"):
            raise BenchError(f"represent.split must be val or test, found {self.split!r}")
        for key in ("frames", "stride", "steps", "batch", "clips"):
            value = getattr(self, key)
            optional = key in ("frames", "stride")
            if not (value is None and optional) and (type(value) is not int or value < 1):
                null = ", or null for the data's" if optional else ""
                raise BenchError(f"represent.{key} must be a whole number of at least 1{null}, found {value!r}")
        if type(self.seed) is not int or self.seed < 0:
            raise BenchError(f"represent.seed must be a whole number from 0 on, found {self.seed!r}")
        if self.average not in get_args(Average):
            raise BenchError(f"represent.average must be one of {', '.join(get_args(Average))}, found {self.average!r}")

    @property
    def overrides(self) -> list[str]:
        """What the data are asked for."""
        asked = {"frames": self.frames, "stride": self.stride}
        return [word for key, value in asked.items() if value for word in (f"--data.{key}", str(value))]

    def conditions(self, **others: Any) -> dict[str, Any]:
        """All settings but the name, with `others` that decide the number, and six digits of them under `hash`."""
        named = {**asdict(self), **others}
        del named["label"]
        return {**named, "hash": digest(named)}


def load(name: str | None, given: Mapping[str, Any]) -> ActionProtocol:
    """The protocol of a packaged name (`vgan_ucf`) or a file with the key `represent`, changed by what is given.

    Args:
        name: None takes the defaults.
        given: settings from the command line; those that are None are not.

    Raises:
        BenchError: no such protocol, or a setting that cannot be.
    """
    settings: dict[str, Any] = {}
    if name is not None:
        path = config_path(name if "/" in name or name.endswith((".yaml", ".yml")) else f"represent/{name}")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("represent"), dict):
            found = ", ".join(content) if isinstance(content, dict) else "nothing"
            raise BenchError(f"--protocol {name}: reelbench represent reads the key represent, found {found}")
        settings = content["represent"]
        known = [f.name for f in fields(ActionProtocol)]
        for key in settings:
            if key not in known:
                raise BenchError(f"--protocol {name}: represent.{key} is no setting{nearest(str(key), known)}")
    return ActionProtocol(**{**settings, **{key: value for key, value in given.items() if value is not None}})
