"""Which clips of a video are scored: the settings of a protocol, from a packaged name, a file or the command line."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from datamodules.errors import BenchError
from datamodules.reading.scaling import Fit
from datamodules.video_reader import VideoReader
from experiments.arguments import CONFIGS
from metrics.protocol import Protocol

Windows = Literal["first", "random", "all"]
PASSED_OVER = ("split", "samples")  # keys of a training protocol that two folders do not have
CLIPS = ("windows", "size", "fit", "fps", "channels", "context")  # keys that only files need, under `clips`


@dataclass(frozen=True)
class Policy:
    """From videos to clips.

    Attributes:
        label: display name of the protocol; not hashed.
        frames: T of a clip. Shorter videos are skipped and named, never padded.
        stride: every `stride`-th frame.
        windows: of longer videos `first` scores the first clip, `random` one whose place is drawn by `seed` and the
            video's name, `all` all that follow one another without overlap.
        size: height and width; None takes those of the first real video that can be read.
        fit: how other aspects are fitted, see `VideoReader`.
        fps: rate that videos are brought to by their time stamps; None takes every frame of the file.
        channels: 3 (RGB) or 1 (luma).
        context: first frames, given to a prediction method; scored unless `score_context` is false.
        n_real, n_fake: clips that the protocol asks for; None takes all.
        seed: chooses the videos where there are more than asked for, and random windows.
    """

    label: str = "folder"
    frames: int = 16
    stride: int = 1
    windows: Windows = "first"
    size: tuple[int, int] | None = None
    fit: Fit = "squash"
    fps: float | None = None
    channels: int = 3
    context: int = 0
    score_context: bool = True
    n_real: int | None = None
    n_fake: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("frames", "stride", "n_real", "n_fake"):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise BenchError(f"protocol: {key} must be a whole number from 1 on, found {value!r}")
        if self.windows not in get_args(Windows):
            raise BenchError(f"protocol: windows must be first, random or all, found {self.windows!r}")
        if not 0 <= self.context < self.frames:
            raise BenchError(
                f"protocol: context must lie in 0..{self.frames - 1} of {self.frames} frames, found {self.context}"
            )
        if not self.score_context and not self.context:
            raise BenchError(
                f"protocol {self.label} leaves the frames out that a prediction method was given: say how many they "
                "are with --context"
            )

    @property
    def span(self) -> int | None:
        """Frames of a file that have to be read; None where that is all of them."""
        return self.needed if self.windows == "first" and self.fps is None else None

    @property
    def needed(self) -> int:
        """Frames from a clip's first to its last."""
        return (self.frames - 1) * self.stride + 1

    def reader(self, size: tuple[int, int]) -> VideoReader:
        """Of frames of `size`."""
        return VideoReader(*size, self.channels, self.fit, self.fps)

    def protocol(self, size: tuple[int, int], n_real: int = 0, n_fake: int = 0, digest: str = "") -> "FolderProtocol":
        """The conditions of a number.

        Args:
            digest: of the real files that went into it.
        """
        return FolderProtocol(
            label=self.label,
            split="test",
            frames=self.frames,
            stride=self.stride,
            n_real=n_real,
            n_fake=n_fake,
            score_context=self.score_context,
            seed=self.seed,
            data="files",
            split_digest=digest,
            height=size[0],
            width=size[1],
            channels=self.channels,
            resize=f"{self.reader(size).policy['resize']}, {self.fit}",
            context=self.context,
            windows=self.windows,
            fps=self.fps,
        )


@dataclass(frozen=True)
class FolderProtocol(Protocol):
    """Conditions under which videos were scored that no datamodule gave; a single pair is legal.

    Attributes:
        windows, fps: see `Policy`.
    """

    windows: Windows = "first"
    fps: float | None = None

    def __post_init__(self) -> None:
        """`Policy` has checked all but the counts, which are what was found."""


def load(name: str | None, given: Mapping[str, Any]) -> tuple[Policy, dict[str, Mapping[str, Any]]]:
    """The settings and the protocol's own metrics as in its file.

    Args:
        name: a packaged protocol (`tfgan_reference`), or a file; None takes the defaults.
        given: settings from the command line; those that are None are not.

    Raises:
        BenchError: no such protocol, or a setting that cannot be.
    """
    settings: dict[str, Any] = {}
    metrics: dict[str, Mapping[str, Any]] = {}
    if name is not None:
        settings, metrics = _read(_find(name))
    settings |= {key: value for key, value in given.items() if value is not None}
    if given.get("context"):
        settings["score_context"] = False
    settings["size"] = _size(settings.get("size"))
    return replace(Policy(), **settings), metrics


def _find(name: str) -> Path:
    packaged = {path.stem: path for path in sorted((CONFIGS / "protocol").glob("*.yaml"))}
    if Path(name).is_file():
        return Path(name)
    stem = name.removeprefix("protocol/").removesuffix(".yaml")
    if stem in packaged:
        return packaged[stem]
    near = difflib.get_close_matches(stem, packaged, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"packaged are {', '.join(packaged)}"
    raise BenchError(f"--protocol {name}: no such file or packaged protocol; {hint}")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BenchError(f"--protocol {path}: not valid YAML: {' '.join(str(error).split())}") from error
    parts = [_mapping(path, content, "evaluate", "clips")]
    evaluate = _mapping(path, parts[0].get("evaluate"), "protocol", "metrics", at="evaluate")
    known = {f.name for f in fields(Policy)}
    asked = _mapping(path, evaluate.get("protocol"), *known - set(CLIPS), *PASSED_OVER, at="evaluate.protocol")
    clips = _mapping(path, parts[0].get("clips"), *CLIPS, at="clips")
    if asked.get("samples", 1) != 1:
        raise BenchError(
            f"--protocol {path}: samples is {asked['samples']}, but two folders hold one generated video for each real "
            "one: choose another protocol, or write one without samples"
        )
    settings = {key: value for key, value in {**asked, **clips}.items() if key in known}
    # null stands for the data's own; videos have none
    settings = {key: value for key, value in settings.items() if value is not None}
    return settings, dict(evaluate.get("metrics") or {})


def _mapping(path: Path, value: Any, *keys: str, at: str = "") -> dict[str, Any]:
    """The mapping at a place of the file, which may hold `keys`."""
    found = value or {}
    if not isinstance(found, dict):
        raise BenchError(f"--protocol {path}: {at or 'the file'} must be a mapping, found {type(found).__name__}")
    for key in found:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(sorted(keys))}"
            raise BenchError(f"--protocol {path}: {f'{at}.' if at else ''}{key} is no setting; {hint}")
    return found


def _size(value: Any) -> tuple[int, int] | None:
    """A side, height and width, or `HxW`."""
    if value is None:
        return None
    parts = value.lower().split("x") if isinstance(value, str) else value if isinstance(value, list) else [value]
    try:
        sides = [int(part) for part in parts]
    except (TypeError, ValueError):
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise BenchError(f"protocol: size is a side, such as 64, or height x width, such as 64x96; found {value!r}")
    return sides[0], sides[-1]
