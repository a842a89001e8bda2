from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.pix2pixhd.clusters import ClusterBank
from lightning_modules.pix2pixhd.instances import pool
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer, reduce, seven

# What is trained: G1 alone at its own size; the enhancers on top of it; all.
Stage = Literal["global", "enhancer", "joint"]


class Translator(nn.Module):
    """All that makes pictures: the generator, the feature encoder where there is one, and G1's own way out.

    Args:
        net: G1 alone, or G2 around it.
        encoder: of objects' features.
        bank: of features to sample from.
        apart: whether G1 is first trained alone, for which it needs a last layer of its own.
    """

    coarse_only: Tensor

    def __init__(
        self,
        net: GlobalGenerator | LocalEnhancer,
        encoder: GlobalGenerator | None = None,
        bank: ClusterBank | None = None,
        apart: bool = False,
    ) -> None:
        super().__init__()
        self.net, self.encoder, self.bank = net, encoder, bank
        self.head: nn.Sequential | None = None
        if apart:
            assert isinstance(net, LocalEnhancer)
            self.head = nn.Sequential(*seven(net.width, net.output_nc), nn.Tanh())
            # An export made in the first stage shows what was trained.
            self.register_buffer("coarse_only", torch.ones((), dtype=torch.bool))

    def forward(self, x: Tensor, stage: Stage = "joint") -> Tensor:
        """N C H W -> pictures N 3 H W in [-1, 1]; the stage `global` takes and gives what has G1's size."""
        if isinstance(self.net, GlobalGenerator):
            return self.net(x)
        if stage == "global":
            assert self.head is not None
            return self.head(self.net.model(x))
        return self.net(x, frozen=stage == "enhancer")

    def coarse_size(self, x: Tensor) -> Tensor:
        """What has the full size, N C H W, at G1's size."""
        assert isinstance(self.net, LocalEnhancer)
        for _ in range(self.net.n_local_enhancers):
            x = reduce(x)
        return x

    def full_size(self, x: Tensor) -> Tensor:
        """Pictures of the input's size in any stage."""
        if self.head is not None and bool(self.coarse_only):
            return F.interpolate(self(self.coarse_size(x), "global"), x.shape[2:], mode="bilinear", align_corners=False)
        return self(x)

    def idle(self, stage: Stage) -> frozenset[str]:
        """Parts that a stage does not train."""
        enhancers = getattr(self.net, "n_local_enhancers", 0)
        if stage == "global":
            return frozenset(f"net.model{n}_{part}" for n in range(1, enhancers + 1) for part in (1, 2))
        return frozenset({"head"} | ({"net.model"} if stage == "enhancer" else set()))

    def features(self, pictures: Tensor, instances: Tensor) -> Tensor:
        """Features of objects, constant on each: N 3 H W and N H W -> N F H W."""
        assert self.encoder is not None
        return pool(self.encoder(pictures), instances)
