import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Literal, Self

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.base import check_clips
from metrics.weights import identity


class Extractor(nn.Module):
    """A fixed network that turns clips into feature vectors. It never trains, whatever is called on it.

    A subclass sets the attributes, builds its network, calls `freeze()` last and implements `features`. Where its
    weights are a published file it names them in `weights` and implements `load`: it can then be built, listed and
    fingerprinted on a machine that has not fetched them.

    Attributes:
        name: stands in the metric's name: `frechet[<name>]`.
        level: `clip` for one vector a clip, `frame` for one a frame.
        num_features: d, length of a vector.
        min_frames: frames below which the network has no output or no meaning.
        preprocessing: from uint8 frames to what the network sees, in words; part of the fingerprint.
        weights: name in `metrics.weights.CATALOGUE`; None where the weights are made or given, not published.
        distance_name: what the Frechet distance of these features is called where weights and settings are those by
            which a published score is defined, such as `fvd`; None otherwise.
        keep_real: whether features of real clips are worth keeping on disk; by default those of published weights.
    """

    name: str
    level: Literal["clip", "frame"]
    num_features: int
    min_frames: int = 1
    preprocessing: str
    weights: str | None = None
    distance_name: str | None = None
    _loaded = False
    _memory: dict[tuple[int, int | None], tuple[Tensor, Tensor]] | None = None

    @property
    def keep_real(self) -> bool:
        """See the class."""
        return self.weights is not None

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside, features of the same tensor are computed once, whatever asks for them."""
        self._memory = {}
        try:
            yield
        finally:
            self._memory = None

    def freeze(self) -> None:
        """Eval mode and no gradients, once all weights are in place."""
        self.requires_grad_(False).train()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode."""
        return super().train(False)

    def load(self) -> None:
        """Reads the weights that `weights` names into the network, on whatever device it is.

        Raises:
            MissingWeights: they are not on this machine.
        """

    def prepare(self) -> None:
        """Loads the weights, the first time it is called; `forward` does so too.

        Raises:
            MissingWeights: they are not on this machine.
        """
        if not self._loaded:
            self.load()
            self._loaded = True

    @property
    def fingerprint(self) -> str:
        """Name, digest of the weights and preprocessing: what moves the features. It needs no published weights."""
        return f"{self.name} {self.level} {self.weights_identity}, {self.preprocessing}"

    @property
    def weights_identity(self) -> str:
        """Which weights, in words: the published digest, or that of the values where none are published."""
        return identity(self.weights) if self.weights else f"sha256 {self._own_digest[:12]}"

    @cached_property
    def _own_digest(self) -> str:
        return weights_digest(self)

    def features(self, clips: Tensor) -> Tensor:
        """uint8 B 3 T H W -> B d (clip) or B T d (frame)."""
        raise NotImplementedError(f"{type(self).__name__}.features")

    def forward(self, clips: Tensor, frames_per_clip: int | None = None) -> Tensor:
        """Features in float32; grey clips are repeated to three channels.

        Args:
            clips: uint8 B C T H W with C 1 or 3.
            frames_per_clip: look at so many frames of each clip, evenly spaced, first and last included.

        Returns:
            B d (clip level) or B T d (frame level).

        Raises:
            MissingWeights: the network's weights are not on this machine.
            BenchError: wrong dtype, shape or too few frames.
        """
        check_clips(self.name, "clips", clips)
        if clips.shape[2] < self.min_frames:
            raise BenchError(f"{self.name} features need at least {self.min_frames} frames, found {clips.shape[2]}")
        key = (id(clips), frames_per_clip)
        if self._memory is not None and key in self._memory:
            return self._memory[key][1]
        self.prepare()
        seen = clips
        if frames_per_clip is not None:
            at = torch.linspace(0, clips.shape[2] - 1, frames_per_clip).round().long()
            seen = clips[:, :, at.to(clips.device)]
        with torch.no_grad(), full_precision(clips.device):
            features = self.features(seen.expand(-1, 3, -1, -1, -1)).float()
        if self._memory is not None:
            self._memory[key] = (clips, features)  # the clips too: while they live nothing else has their id
        return features


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Plain float32, whatever autocast and TF32 settings a run trains with: the same clips give the same number."""
    convolution, product = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolution
        torch.set_float32_matmul_precision(product)


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over names, shapes and values of all weights, independent of device and order."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
