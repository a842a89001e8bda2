import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from torch import Tensor

from datamodules.errors import BenchError

if TYPE_CHECKING:
    from datamodules.base import ClipData


MOST_SAMPLES = 4096


@dataclass(frozen=True)
class ProtocolSettings:
    """What a config says of a measurement; `resolve` adds what the data decide.

    Attributes:
        label: short display name; not hashed.
        split: `val` or `test`.
        frames, stride: of each clip; None takes the datamodule's.
        n_real, n_fake: clips of each kind.
        score_context: whether context frames that a prediction method copies are scored.
        seed: evaluation seed: keys the noise and the real windows.
        samples: drawn for each clip. With several, paired metrics give the best, mean and worst of them; all other
            metrics see the first alone. Hashed only where there are several.
    """

    label: str = "quick"
    split: str = "val"
    frames: int | None = None
    stride: int | None = None
    n_real: int = 256
    n_fake: int = 256
    score_context: bool = True
    seed: int = 0
    samples: int = 1

    def __post_init__(self) -> None:
        if self.split not in ("val", "test"):
            raise BenchError(f"protocol.split must be val or test, found {self.split!r}")
        for key in ("n_real", "n_fake"):
            if getattr(self, key) < 2:
                raise BenchError(f"protocol.{key} must be at least 2 clips, found {getattr(self, key)}")
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise BenchError(f"protocol.samples must be from 1 to {MOST_SAMPLES}, found {self.samples}")
        for key in ("frames", "stride"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise BenchError(
                    f"protocol.{key} must be at least 1, or null for the data's, found {getattr(self, key)}"
                )

    def resolve(self, data: "ClipData") -> "Protocol":
        """The same conditions with what the data decide filled in."""
        settings = {f.name: getattr(self, f.name) for f in fields(ProtocolSettings)}
        settings |= {"frames": self.frames or data.frames, "stride": self.stride or data.stride}
        return Protocol(
            **settings,
            data=data.name,
            split_digest=data.split_digest(self.split),
            height=data.height,
            width=data.width,
            channels=data.channels,
            resize=data.resize,
            context=data.context,
        )


@dataclass(frozen=True)
class Protocol(ProtocolSettings):
    """Under what conditions a number was measured. Two numbers compare only if these agree.

    The training seed is not part of it, nor is anything about the method.

    Attributes:
        data, split_digest: data set and a digest of the split's content and policy.
        height, width, channels, resize: of the frames and how they came to that size.
        context: first frames that prediction methods are given.
    """

    data: str = ""
    split_digest: str = ""
    height: int = 0
    width: int = 0
    channels: int = 3
    resize: str = ""
    context: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.score_context and self.frames is not None and self.context >= self.frames:
            raise BenchError(
                f"protocol.score_context is false, and of {self.frames} frames all are context ({self.context}): "
                "none is left to score; raise protocol.frames or lower data.init_args.context"
            )

    @property
    def scored_frames(self) -> int:
        """Frames of a clip that metrics see."""
        assert self.frames is not None  # resolved
        return self.frames if self.score_context else self.frames - self.context

    def scored(self, clips: Tensor) -> Tensor:
        """B C T H W without the context frames, where those are not scored."""
        return clips[:, :, clips.shape[2] - self.scored_frames :]

    @property
    def conditions(self) -> dict[str, Any]:
        """What is hashed."""
        named = asdict(self)
        del named["label"]
        if self.samples == 1:  # what was measured before there was the setting keeps its hash
            del named["samples"]
        return named

    @property
    def hash(self) -> str:
        """Six digits for the conditions alone: results and leaderboards group by it."""
        return digest(self.conditions)

    def number_hash(self, fingerprint: str) -> str:
        """Six digits for one number: the conditions and the metric's own settings."""
        return digest({**self.conditions, "metric": fingerprint})

    def key(self, metric: str, fingerprint: str) -> str:
        """Flat summary key `<split>/<metric>/<label>-<hash6>`."""
        return f"{self.split}/{metric}/{self.label}-{self.number_hash(fingerprint)}"


def digest(named: dict[str, Any]) -> str:
    """Six digits for conditions by name."""
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:6]
