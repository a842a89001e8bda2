"""What the rest of the bench knows of a method: what it needs, what it draws, how it is sampled. No more."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from lightning_modules.sizes import Size, check_sizes


class ClipNoise:
    """Noise keyed by clip: the same for a clip in whatever batch, on whatever rank, drawn on the CPU for any device.

    Args:
        seed: the evaluation seed.
        index: B int64, the clips' numbers.
        sample: number of the sample, where several are drawn for a clip.
    """

    def __init__(self, seed: int, index: Tensor, sample: int = 0) -> None:
        self.index = [int(i) for i in index]
        self._sources = []
        for i in self.index:
            key = f"{seed} {i} {sample}" if sample else f"{seed} {i}"  # the first sample is what one sample would be
            digest = hashlib.blake2b(key.encode(), digest_size=7).digest()
            self._sources.append(torch.Generator().manual_seed(int.from_bytes(digest, "big")))

    def __len__(self) -> int:
        return len(self.index)

    def _stack(self, drawn: list[Tensor], shape: tuple[int, ...], like: Tensor, device: torch.device | str) -> Tensor:
        return (torch.stack(drawn) if drawn else like.new_empty(0, *shape)).to(device)

    def normal(self, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """B x shape from N(0, 1), float32."""
        drawn = [torch.randn(shape, generator=g) for g in self._sources]
        return self._stack(drawn, shape, torch.empty(0), device)

    def uniform(self, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """B x shape from U[0, 1), float32."""
        drawn = [torch.rand(shape, generator=g) for g in self._sources]
        return self._stack(drawn, shape, torch.empty(0), device)

    def integers(self, high: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """B x shape uniform over 0..high-1, int64."""
        drawn = [torch.randint(high, shape, generator=g) for g in self._sources]
        return self._stack(drawn, shape, torch.empty(0, dtype=torch.int64), device)


class Method(L.LightningModule):
    """A video generator. `generator` holds every network that `sample` uses: it is averaged, compiled and exported."""

    generator: nn.Module
    trains: ClassVar[bool] = True  # False for reference rows that have nothing to train
    any_length: ClassVar[bool] = False  # whether a trained model makes clips of other lengths; see `at_length`
    # Of the clips that `sample` makes: side of square frames or (height, width), which a method may leave to its data;
    # T; C.
    size: Size
    frames: int
    channels: int

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Batch keys that the method reads, given its resolved arguments."""
        return frozenset({"video"})

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Named streams of a training step. With `clips` alone a step is one flat `VideoBatch`."""
        return {"clips": StreamSpec()}

    def setup(self, stage: str) -> None:
        """`check_data` before the first step of `fit`."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(data, ClipData):
            self.check_data(data)

    def check_data(self, data: ClipData) -> None:
        """Refuses data that the method cannot be trained on; a method adds what it needs beside the clips' shape.

        Raises:
            BenchError: clips of another shape than the method was built for.
        """
        if hasattr(self, "size"):
            check_sizes(data, size=self.size, frames=self.frames, channels=self.channels)

    @contextmanager
    def at_length(self, frames: int | None) -> Iterator[None]:
        """Samples clips of `frames` frames inside; None leaves the length of the training clips.

        Raises:
            BenchError: the architecture makes no other length.
        """
        if frames is None:
            yield
            return
        own = self.frames
        if frames == own:
            yield
            return
        if frames < 1:
            raise BenchError(f"{type(self).__name__} makes clips of at least one frame, not {frames}")
        if not self.any_length:
            raise BenchError(f"{type(self).__name__} makes clips of {own} frames and of no other length, not {frames}")
        self.frames = frames
        try:
            yield
        finally:
            self.frames = own

    def idle(self, step: int) -> frozenset[str]:
        """Parts, by their names as `generator.face`, that the step of this number, from 0, does not train.

        Of a method that is trained in stages; without them all is trained in every step.
        """
        return frozenset()

    def length_shown(self, data: ClipData) -> int:
        """Frames of the data's clips that `sample` is shown where clips are written."""
        return data.frames

    def prepare(self, data: ClipData) -> None:
        """Called with the datamodule before sampling; reference rows that copy clips take them here."""

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """B C T H W in [-1, 1], no grad, float32; all randomness from `noise`."""
        raise NotImplementedError(f"{type(self).__name__}.sample")

    def sample_many(self, batch: VideoBatch, noises: Sequence[ClipNoise]) -> Tensor:
        """S B C T H W: `sample` with each of S noises. A method that can share work among the S overrides it."""
        return torch.stack([self.sample(batch, noise) for noise in noises])

    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        """As `sample`, with what stays in a clip drawn from one noise and what moves from another.

        Raises:
            BenchError: the method has no such parts.
        """
        raise BenchError(f"{type(self).__name__} has no parts of content and motion that could be swapped")

    @property
    def controls(self) -> Mapping[str, int]:
        """Attributes that `control` can set, with how many values each has: 0 to that number, exclusive."""
        return {}

    def control(self, batch: VideoBatch, noise: ClipNoise, wanted: Mapping[str, Tensor]) -> Tensor:
        """As `sample`, with attributes set frame by frame.

        Args:
            wanted: of some of `controls`, B T int64: the value at each frame; -1 leaves it as `sample` has it.

        Raises:
            BenchError: the method has no attributes that could be set.
        """
        raise BenchError(f"{type(self).__name__} has no attributes that could be set")

    def requested(self, batch: VideoBatch, noise: ClipNoise) -> Mapping[str, Tensor]:
        """The attributes that `sample(batch, noise)` is asked to show, each B int64 and counted as the data count them.

        Metrics that judge obedience read them as `batch["requested"]`. Empty where nothing is asked for, or where the
        method's own numbers, as those of categories learnt without labels, are not the data's.
        """
        return {}

    def uncertainty(self, batch: VideoBatch) -> Tensor:
        """How unsure the method is of each frame before it sees it, such as a prior's mean standard deviation.

        Frame t is judged from the true frames before it, so that the number says when the data surprise, not when the
        method errs (SVG, Denton and Fergus 2018, figure 6). No randomness.

        Args:
            batch: widened, on the method's device.

        Returns:
            B T float; NaN where a frame has no number, as the first.

        Raises:
            BenchError: the method has no such number.
        """
        raise BenchError(f"{type(self).__name__} does not say how unsure it is: it has no `uncertainty`")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """`Evaluate` samples in its own loop; Lightning wants the step to exist."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """See `validation_step`."""
