from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from metrics.features.base import Extractor
from metrics.features.state_dict import fill, read_torch, unfilled
from metrics.weights import locate


class PublishedExtractor(Extractor):
    """An extractor around one network whose weights are a published file, or another file in its layout.

    A subclass sets `weights`, and calls `adopt` last.
    """

    network: nn.Module
    weights: str
    _given = False  # a file of the user's own, told apart by its values

    def adopt(self, build: Callable[[], nn.Module], path: Path | None) -> None:
        """Builds the network; reads `path` at once, or the published file when the network is first used.

        Raises:
            BenchError: `path` does not hold the network's weights.
        """
        self.network = unfilled(build)
        self._given = path is not None
        if path is not None:
            self.read(path)
            self._loaded = True
        self.freeze()

    @property
    def weights_identity(self) -> str:
        """See `Extractor`."""
        return f"values sha256 {self._own_digest[:12]}" if self._given else super().weights_identity

    def load(self) -> None:
        """See `Extractor.load`."""
        self.read(locate(self.weights))

    def read(self, path: Path) -> None:
        """Fills the network from a file, strictly."""
        fill(self.network, self.contents(path), path, self.name)

    def contents(self, path: Path) -> Mapping[str, Tensor]:
        """The file's tensors under the network's own keys."""
        return read_torch(path)


def by_frame(clips: Tensor, describe: Callable[[Tensor], Tensor], at_once: int = 32) -> Tensor:
    """Describes the frames of uint8 B 3 T H W, `at_once` float frames N 3 H W in 0..255 at a time, as B T d."""
    frames = clips.transpose(1, 2).flatten(0, 1)  # BT 3 H W
    described = torch.cat([describe(part.float()) for part in frames.split(at_once)])
    return described.unflatten(0, (len(clips), clips.shape[2]))
