"""Learned perceptual distance of paired frames."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.base import full_precision, weights_digest
from metrics.frames import FrameMetric

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class Lpips(FrameMetric):
    """LPIPS (Zhang et al. 2018): distance of deep features, mean over frames, then clips.

    Frames go in as [-1, 1]; [0, 1] is the commonest mistake with it. Grey frames are repeated to three channels.

    Args:
        network: a module that takes two float frames B 3 H W in [-1, 1] and gives B distances; or the function, given
            `net`, that loads it with its weights when the first evaluation starts.
        net: the network's backbone, part of the column's name. Results are reported with `alex`.
        frames_at_once: frames that go through the network together; moves no number.
    """

    higher_is_better = False

    # Not nn.Module | Callable: a config that names the function would then call it, and find no weights, as it is read.
    def __init__(self, network: Callable[[str], nn.Module], net: str = "alex", frames_at_once: int = 64) -> None:
        super().__init__()
        self.name = f"lpips[{net}]"
        if frames_at_once < 1:
            raise BenchError(f"{self.name}: frames_at_once must be at least 1, found {frames_at_once}")
        self.net, self.frames_at_once = net, frames_at_once
        self.network: nn.Module | None = None
        self._load = None if isinstance(network, nn.Module) else network
        if isinstance(network, nn.Module):
            self._take(network)

    def _take(self, network: nn.Module) -> None:
        theirs = getattr(network, "net", self.net)
        if theirs != self.net:
            raise BenchError(f"{self.name}: the network given is the one of net {theirs}; let net name it")
        self.network = network.requires_grad_(False).eval().to(self.device)

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`; published weights are told by what loads them, so that they need not be there."""
        if self._load is not None:
            which = f"{getattr(self._load, '__module__', '')}.{getattr(self._load, '__qualname__', self._load)}"
        else:
            assert self.network is not None
            which = f"sha256 {weights_digest(self.network)[:12]}"
        return (
            f"lpips, net {self.net}, {which}, frames in [-1, 1] at their own size, mean over frames then clips, uint8"
        )

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Loads the network.

        Raises:
            BenchError: `MissingWeights`, before anything is sampled.
        """
        super().prepare(data, protocol)
        if self.network is None:
            assert self._load is not None
            self._take(self._load(self.net))

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """B T."""
        if self.network is None:
            raise BenchError(f"{self.name}: prepare(data, protocol) comes before update: it loads the network")
        sides = [clips.transpose(1, 2).flatten(0, 1).expand(-1, 3, -1, -1) for clips in (fake, real)]  # BT 3 H W
        distances = []
        with torch.no_grad(), full_precision(fake.device):
            for a, b in zip(*(side.split(self.frames_at_once) for side in sides), strict=True):
                distances.append(self.network(a.float() / 127.5 - 1, b.float() / 127.5 - 1))
        found = torch.cat(distances)
        if found.shape != (len(sides[0]),):
            raise BenchError(
                f"{self.name}: the network gave {tuple(found.shape)} for {len(sides[0])} pairs of frames; expected one "
                "distance a pair"
            )
        return found.unflatten(0, (len(fake), fake.shape[2]))
